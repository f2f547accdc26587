import { LostBlocksError } from "./errors.ts";
import { firstNeededBlock, type LayerGroup } from "./layer-group.ts";
import { releaseSpans, type Sequence } from "./sequence.ts";
import { copyTokens } from "./sequence-fork.ts";
import { checkStates, copyStates } from "./sequence-states.ts";
import { nodeOfSpan } from "./sequence-store.ts";

/** Cuts a sequence to `length` tokens. @throws LostBlocksError before anything has changed */
export function truncateSequence(sequence: Sequence, length: number): void {
  if (length === sequence.length) return;
  const { pool } = sequence;
  const regained = pool.hasWindows ? blocksToRegain(sequence, length) : [];
  checkStates(sequence, "truncate", length);
  pool.allocator.readClock();
  for (const { block } of regained) pool.allocator.acquire(block, false);
  copyStates(sequence, sequence, length);
  const spans = Math.ceil(length / pool.tokensPerBlock);
  // First, because releasing can make the cache forget nodes that this walks over.
  copyTokens(sequence, sequence, length);
  releaseSpans(sequence, spans, sequence.numSpans);
  for (const { unit, span, block } of regained) (sequence.blocks[unit] as Int32Array)[span] = block;
  sequence.numSpans = spans;
  sequence.length = length;
  sequence.tailRoom = spans * pool.tokensPerBlock - length;
  sequence.tailReady = false;
  if (sequence.storesOnCommit) sequence.committed = Math.min(sequence.committed, length);
  for (const unit of pool.tokenUnits) {
    const first = firstNeededBlock(pool.groupOfUnit[unit] as LayerGroup, length, pool.tokensPerBlock);
    sequence.firstHeld[unit] = Math.min(sequence.firstHeld[unit] as number, first);
  }
  sequence.revision++;
}

interface Regained {
  unit: number;
  span: number;
  block: number;
}

/** Blocks that a window has left and that the sequence needs again at `length`; they must still be cached. */
function blocksToRegain(sequence: Sequence, length: number): Regained[] {
  const { pool, firstHeld } = sequence;
  const regained: Regained[] = [];
  for (const unit of pool.tokenUnits) {
    const group = pool.groupOfUnit[unit] as LayerGroup;
    const spans = Math.ceil(length / pool.tokensPerBlock);
    const first = firstNeededBlock(group, length, pool.tokensPerBlock);
    for (let span = Math.min(firstHeld[unit] as number, spans) - 1; span >= first; span--) {
      const isStored = span < sequence.numStored;
      const block = isStored ? pool.index.blockOf(nodeOfSpan(sequence, span), unit) : -1;
      if (block < 0) throw new LostBlocksError("truncate", group.name, length);
      regained.push({ unit, span, block });
    }
  }
  return regained;
}
