import { LostBlocksError } from "./errors.ts";
import { firstNeededBlock, type LayerGroup } from "./layer-group.ts";
import { addUnits, requireDemand } from "./pool.ts";
import { moveTo, reservePending, reserveSpans, Sequence } from "./sequence.ts";
import { allocateStates, checkStates, copyStates } from "./sequence-states.ts";
import { nodeOfSpan } from "./sequence-store.ts";

/**
 * A second sequence with the first `position` tokens of the first, in the same blocks.
 *
 * @throws LostBlocksError, OutOfBlocksError, QuotaError before anything has changed
 */
export function forkSequence(sequence: Sequence, position: number): Sequence {
  const { pool } = sequence;
  checkWindows(sequence, position);
  checkStates(sequence, "fork", position);
  pool.demand.clear();
  addUnits(pool.demand.wanted, pool, pool.stateUnits, 1);
  requireDemand(pool, sequence.namespace);
  const fork = new Sequence(pool, sequence.namespace, sequence.root, sequence.options);
  pool.allocator.readClock();
  shareBlocks(sequence, fork, position);
  allocateStates(fork, position === 0);
  copyStates(sequence, fork, position);
  copyTokens(sequence, fork, position);
  for (const tokens of sequence.keyed) {
    pool.keys.retain(tokens);
    fork.keyed.push(tokens);
  }
  fork.committed = sequence.storesOnCommit ? Math.min(sequence.committed, position) : sequence.committed;
  fork.tailReady = false;
  sequence.tailReady = false;
  return fork;
}

function checkWindows(sequence: Sequence, position: number): void {
  const { pool, firstHeld } = sequence;
  for (const unit of pool.tokenUnits) {
    const group = pool.groupOfUnit[unit] as LayerGroup;
    if (firstNeededBlock(group, position, pool.tokensPerBlock) >= (firstHeld[unit] as number)) continue;
    if (position > 0) throw new LostBlocksError("fork", group.name, position);
  }
}

function shareBlocks(sequence: Sequence, fork: Sequence, position: number): void {
  const { pool } = sequence;
  const spans = Math.ceil(position / pool.tokensPerBlock);
  reserveSpans(fork, spans);
  for (const unit of pool.tokenUnits) {
    const first = firstNeededBlock(pool.groupOfUnit[unit] as LayerGroup, position, pool.tokensPerBlock);
    fork.firstHeld[unit] = first;
    const from = sequence.blocks[unit] as Int32Array;
    const to = fork.blocks[unit] as Int32Array;
    for (let span = first; span < spans; span++) {
      to[span] = from[span] as number;
      pool.allocator.acquire(from[span] as number, false);
    }
  }
  fork.numSpans = spans;
  fork.length = position;
  fork.tailRoom = spans * pool.tokensPerBlock - position;
}

/** Sets what `to` knows of the first `length` tokens of `from`, which may be itself: what is stored, and the rest. */
export function copyTokens(from: Sequence, to: Sequence, length: number): void {
  const { pool } = from;
  const size = pool.tokensPerBlock;
  const whole = Math.floor(length / size);
  const numStored = Math.min(from.numStored, whole);
  const numPending = length - numStored * size;
  const isKnown = from.isStoring || numPending === 0 || from.numStored > numStored;
  to.isStoring = isKnown && to.options.cache !== false;
  if (to.isStoring && numPending > 0) copyPending(from, to, numStored, numPending);
  moveTo(to, numStored === 0 ? from.root : nodeOfSpan(from, numStored - 1));
  to.numStored = numStored;
  to.numPending = to.isStoring ? numPending : 0;
}

/** A block that was stored whole and is now cut has its tokens in the index; others have them in `pending`. */
function copyPending(from: Sequence, to: Sequence, numStored: number, numPending: number): void {
  const isCut = from.numStored > numStored;
  const tokens = isCut ? from.pool.index.tokensOf(nodeOfSpan(from, numStored)) : from.pending;
  const kept = tokens.slice(0, numPending);
  to.numPending = 0;
  reservePending(to, numPending);
  to.pending.set(kept);
}
