import type { LayerGroup } from "./layer-group.ts";
import { addBlock, addUnits, requireDemand } from "./pool.ts";
import { countCachedInMatch, firstTaken, type PrefixMatch } from "./prefix-match.ts";
import { moveTo, reserveSpans, type Sequence } from "./sequence.ts";
import { allocateStates, restoreStates } from "./sequence-states.ts";
import { retainSpan } from "./sequence-store.ts";

/**
 * Begins a sequence with a matched prefix. `numTokens` more will be appended at once: their blocks must be there too.
 *
 * @throws OutOfBlocksError, QuotaError before anything has changed
 */
export function takeMatch(sequence: Sequence, match: PrefixMatch, tokens: Int32Array, numTokens: number): void {
  const { pool } = sequence;
  const { numSpans, partial } = match;
  const size = pool.tokensPerBlock;
  const spans = Math.max(Math.ceil(numTokens / size), partial === undefined ? numSpans : numSpans + 1);
  requireMatch(sequence, match, spans - numSpans);
  pool.allocator.readClock();
  reserveSpans(sequence, spans);
  for (const unit of pool.tokenUnits) takeUnit(sequence, match, unit);
  sequence.numSpans = numSpans;
  sequence.numStored = numSpans;
  sequence.length = numSpans * size;
  if (numSpans > 0) moveTo(sequence, match.nodes[numSpans - 1] as number);
  takeStates(sequence);
  if (partial !== undefined) takePartial(sequence, partial.node, tokens, partial.numTokens);
}

/** @throws OutOfBlocksError, QuotaError */
function requireMatch(sequence: Sequence, match: PrefixMatch, newSpans: number): void {
  const { pool } = sequence;
  pool.demand.clear();
  addUnits(pool.demand.wanted, pool, pool.tokenUnits, newSpans);
  addUnits(pool.demand.wanted, pool, pool.stateUnits, 1);
  countCachedInMatch(pool, match);
  if (match.partial !== undefined) countCached(sequence, match.partial.node, pool.tokenUnits);
  if (match.numSpans > 0) countCached(sequence, match.nodes[match.numSpans - 1] as number, pool.stateUnits);
  requireDemand(pool, sequence.namespace);
}

/** Blocks that are only copied from and that nobody holds. */
function countCached({ pool }: Sequence, node: number, units: readonly number[]): void {
  for (const unit of units) {
    const block = pool.index.blockOf(node, unit);
    if (pool.allocator.references[block] === 0) addBlock(pool.demand.taken, pool, block);
  }
}

function takeUnit(sequence: Sequence, match: PrefixMatch, unit: number): void {
  const { pool } = sequence;
  const { index, allocator } = pool;
  const table = sequence.blocks[unit] as Int32Array;
  const first = firstTaken(pool, unit, match.numSpans);
  sequence.firstHeld[unit] = first;
  for (let span = first; span < match.numSpans; span++) {
    const block = index.blockOf(match.nodes[span] as number, unit);
    table[span] = block;
    allocator.acquire(block, true);
    if (sequence.retention.length > 0) retainSpan(pool, sequence, block, span);
  }
}

/** The stored states are held while blocks for the running ones are allocated, lest these be the same. */
function takeStates(sequence: Sequence): void {
  const { pool } = sequence;
  if (pool.stateUnits.length === 0) return;
  const stored =
    sequence.numStored > 0 ? pool.stateUnits.map((unit) => pool.index.blockOf(sequence.lastNode, unit)) : [];
  for (const block of stored) pool.allocator.acquire(block, true);
  allocateStates(sequence, stored.length === 0);
  if (stored.length > 0) restoreStates(sequence, sequence.lastNode, sequence.length);
  for (const block of stored) pool.allocator.release(block, false);
}

/** Copies the first tokens of a cached block to a new one. */
function takePartial(sequence: Sequence, node: number, tokens: Int32Array, numTokens: number): void {
  const { pool } = sequence;
  const { allocator, index } = pool;
  const sources = pool.tokenUnits.map((unit) => index.blockOf(node, unit));
  for (const block of sources) allocator.acquire(block, true);
  pool.tokenUnits.forEach((unit, i) => {
    const copy = allocator.allocate(sequence.namespace, pool.sizeOfUnit[unit] as number);
    (sequence.blocks[unit] as Int32Array)[sequence.numSpans] = copy;
    pool.work.copy(pool.groups.indexOf(pool.groupOfUnit[unit] as LayerGroup), sources[i] as number, copy, numTokens);
  });
  for (const block of sources) allocator.release(block, false);
  for (let i = 0; i < numTokens; i++) sequence.pending[i] = tokens[sequence.length + i] as number;
  sequence.numPending = numTokens;
  sequence.numSpans++;
  sequence.length += numTokens;
  sequence.tailRoom = pool.tokensPerBlock - numTokens;
}
