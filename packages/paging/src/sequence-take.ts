import type { LayerGroup } from "./layer-group.ts";
import { requireBlocks } from "./pool.ts";
import { firstTaken, numCachedInMatch, type PrefixMatch } from "./prefix-match.ts";
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
  const partialBlocks = partial === undefined ? 0 : partialSources(sequence, match);
  const spans = Math.max(Math.ceil(numTokens / size), partial === undefined ? numSpans : numSpans + 1);
  const wanted = (spans - numSpans) * pool.tokenUnits.length + pool.stateUnits.length;
  const taken = numCachedInMatch(pool, match) + partialBlocks + cachedStates(sequence, match);
  requireBlocks(pool, sequence.namespace, wanted, 0, taken);
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
  allocateStates(sequence);
  if (stored.length > 0) restoreStates(sequence, sequence.lastNode, sequence.length);
  for (const block of stored) pool.allocator.release(block, false);
}

function cachedStates(sequence: Sequence, match: PrefixMatch): number {
  if (match.numSpans === 0) return 0;
  const { index, allocator, stateUnits } = sequence.pool;
  const node = match.nodes[match.numSpans - 1] as number;
  return stateUnits.filter((unit) => allocator.references[index.blockOf(node, unit)] === 0).length;
}

/** Blocks that are only copied from and that nobody holds. */
function partialSources(sequence: Sequence, match: PrefixMatch): number {
  const { index, allocator, tokenUnits } = sequence.pool;
  const node = match.partial?.node as number;
  return tokenUnits.filter((unit) => allocator.references[index.blockOf(node, unit)] === 0).length;
}

/** Copies the first tokens of a cached block to a new one. */
function takePartial(sequence: Sequence, node: number, tokens: Int32Array, numTokens: number): void {
  const { pool } = sequence;
  const { allocator, index } = pool;
  const sources = pool.tokenUnits.map((unit) => index.blockOf(node, unit));
  for (const block of sources) allocator.acquire(block, true);
  pool.tokenUnits.forEach((unit, i) => {
    const copy = allocator.allocate(sequence.namespace);
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
