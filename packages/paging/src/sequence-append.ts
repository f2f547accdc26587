import { NONE } from "./block-id.ts";
import { firstNeededBlock, type LayerGroup } from "./layer-group.ts";
import { addBlock, addUnits, type Pool, requireDemand } from "./pool.ts";
import { reserveSpans, type Sequence } from "./sequence.ts";
import { keepTokens } from "./sequence-store.ts";

/**
 * Gives places to `tokens` from index `from` on. @throws OutOfBlocksError, QuotaError before anything has changed
 */
export function appendTokens(sequence: Sequence, tokens: Int32Array, from: number): void {
  const numTokens = tokens.length - from;
  if (numTokens === 0) return;
  const { pool } = sequence;
  const size = pool.tokensPerBlock;
  const spans = Math.ceil((sequence.length + numTokens) / size);
  const copiesTail = sequence.tailRoom > 0 && !sequence.tailReady && tailIsNeeded(sequence);
  const newSpans = spans - sequence.numSpans + (copiesTail ? 1 : 0);
  if (newSpans > 0) requireSpans(sequence, newSpans);
  if (pool.hasWindows) leaveWindows(sequence);
  if (sequence.tailRoom > 0 && !sequence.tailReady) makeTailReady(sequence, copiesTail);
  allocateSpans(sequence, spans);
  sequence.length += numTokens;
  sequence.tailRoom = spans * size - sequence.length;
  sequence.tailReady = true;
  if (sequence.isStoring) keepTokens(sequence, tokens, from);
}

/** @throws OutOfBlocksError, QuotaError */
function requireSpans(sequence: Sequence, newSpans: number): void {
  const { pool } = sequence;
  pool.demand.clear();
  addUnits(pool.demand.wanted, pool, pool.tokenUnits, newSpans);
  if (pool.hasWindows) countLeftBehind(sequence, pool);
  requireDemand(pool, sequence.namespace);
}

function allocateSpans(sequence: Sequence, spans: number): void {
  const { allocator, tokenUnits, sizeOfUnit } = sequence.pool;
  reserveSpans(sequence, spans);
  for (let i = 0; i < tokenUnits.length; i++) {
    const unit = tokenUnits[i] as number;
    const table = sequence.blocks[unit] as Int32Array;
    const size = sizeOfUnit[unit] as number;
    for (let span = sequence.numSpans; span < spans; span++) table[span] = allocator.allocate(sequence.namespace, size);
  }
  sequence.numSpans = spans;
}

/** Whether writing to the last block would change what others hold or what a cached child continues. */
function tailIsNeeded(sequence: Sequence): boolean {
  const { allocator, tokenUnits } = sequence.pool;
  return tokenUnits.some((unit) => {
    const block = (sequence.blocks[unit] as Int32Array)[sequence.numSpans - 1] as number;
    return (allocator.references[block] as number) > 1 || allocator.hasDependents(block);
  });
}

/** Copies the last blocks to new ones, or takes them out of the index. */
function makeTailReady(sequence: Sequence, copies: boolean): void {
  const { pool } = sequence;
  const span = sequence.numSpans - 1;
  const numTokens = sequence.length - span * pool.tokensPerBlock;
  for (const unit of pool.tokenUnits) {
    const table = sequence.blocks[unit] as Int32Array;
    const block = table[span] as number;
    if (copies) {
      const copy = pool.allocator.allocate(sequence.namespace, pool.sizeOfUnit[unit] as number);
      pool.work.copy(pool.groups.indexOf(pool.groupOfUnit[unit] as LayerGroup), block, copy, numTokens);
      table[span] = copy;
      pool.allocator.release(block, false);
    } else if (pool.index.nodeOf(block) >= 0) pool.allocator.forget(block);
  }
  sequence.revision++;
}

/** Blocks that windows have left and that nobody else holds: evictable or free as soon as they are given back. */
function countLeftBehind({ firstHeld, blocks, length }: Sequence, pool: Pool): void {
  for (const unit of pool.tokenUnits) {
    const table = blocks[unit] as Int32Array;
    const end = firstNeededBlock(pool.groupOfUnit[unit] as LayerGroup, length, pool.tokensPerBlock);
    for (let span = firstHeld[unit] as number; span < end; span++) {
      const block = table[span] as number;
      if (pool.allocator.references[block] === 1) addBlock(pool.demand.returned, pool, block);
    }
  }
}

/** Gives back the blocks that windows have left: the next token does not read them. */
export function leaveWindows(sequence: Sequence): void {
  const { pool, firstHeld } = sequence;
  for (const unit of pool.tokenUnits) {
    const table = sequence.blocks[unit] as Int32Array;
    const end = firstNeededBlock(pool.groupOfUnit[unit] as LayerGroup, sequence.length, pool.tokensPerBlock);
    const start = firstHeld[unit] as number;
    if (start >= end) continue;
    for (let span = end - 1; span >= start; span--) {
      pool.allocator.release(table[span] as number, false);
      table[span] = NONE;
    }
    firstHeld[unit] = end;
    sequence.revision++;
  }
}
