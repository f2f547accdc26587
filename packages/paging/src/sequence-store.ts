import { NONE } from "./block-id.ts";
import type { Pool } from "./pool.ts";
import { retainBlock } from "./retention.ts";
import { moveTo, reservePending, type Sequence } from "./sequence.ts";
import { saveStates } from "./sequence-states.ts";

/** Keeps appended tokens and stores each block of them that is full and committed. */
export function keepTokens(sequence: Sequence, tokens: Int32Array, from: number): void {
  let at = from;
  if (sequence.numPending > 0 || sequence.storesOnCommit) at = fillPending(sequence, tokens, from);
  const size = sequence.pool.tokensPerBlock;
  while (at + size <= tokens.length && sequence.isStoring) {
    storeSpan(sequence, tokens, at);
    at += size;
  }
  if (at < tokens.length && sequence.isStoring) keepPending(sequence, tokens, at, tokens.length);
}

/** Stores the pending blocks that are full and committed. */
export function storePending(sequence: Sequence): void {
  const size = sequence.pool.tokensPerBlock;
  let at = 0;
  while (at + size <= sequence.numPending && isCommitted(sequence) && sequence.isStoring) {
    storeSpan(sequence, sequence.pending, at);
    at += size;
  }
  if (at === 0 || !sequence.isStoring) return;
  sequence.pending.copyWithin(0, at, sequence.numPending);
  sequence.numPending -= at;
}

function isCommitted(sequence: Sequence): boolean {
  return (sequence.numStored + 1) * sequence.pool.tokensPerBlock <= sequence.committed;
}

/** Completes the block that is begun, or with late storing takes all; returns where the rest begins. */
function fillPending(sequence: Sequence, tokens: Int32Array, from: number): number {
  const room = sequence.pool.tokensPerBlock - sequence.numPending;
  const end = sequence.storesOnCommit ? tokens.length : Math.min(tokens.length, from + room);
  keepPending(sequence, tokens, from, end);
  storePending(sequence);
  return end;
}

function keepPending(sequence: Sequence, tokens: Int32Array, from: number, to: number): void {
  reservePending(sequence, to - from);
  for (let i = from; i < to; i++) sequence.pending[sequence.numPending++] = tokens[i] as number;
}

/** Puts the next block of tokens into the index, beside the older ones if others stored it before. */
function storeSpan(sequence: Sequence, tokens: Int32Array, at: number): void {
  const { pool } = sequence;
  const known = pool.index.child(sequence.lastNode, tokens, at);
  const node = known >= 0 ? known : pool.index.insert(sequence.lastNode, tokens, at);
  if (node < 0) {
    // Without a node for this block none behind it can be found: the sequence goes on uncached.
    sequence.isStoring = false;
    sequence.numPending = 0;
    return;
  }
  const span = sequence.numStored;
  for (let i = 0; i < pool.tokenUnits.length; i++) storeBlock(sequence, node, pool.tokenUnits[i] as number, span);
  moveTo(sequence, node);
  sequence.numStored = span + 1;
  if (pool.stateUnits.length > 0) saveStates(sequence, node, (span + 1) * pool.tokensPerBlock);
}

function storeBlock(sequence: Sequence, node: number, unit: number, span: number): void {
  const block = (sequence.blocks[unit] as Int32Array)[span] as number;
  if (block === NONE) return;
  const { pool } = sequence;
  pool.allocator.store(node, unit, block);
  if (sequence.retention.length > 0) retainSpan(pool, sequence, block, span);
}

/** Gives a block the priority that the sequence's ranges have for its tokens. */
export function retainSpan(pool: Pool, sequence: Sequence, block: number, span: number): void {
  const start = span * pool.tokensPerBlock;
  retainBlock(pool, sequence.retention, block, start, start + pool.tokensPerBlock);
}

/** The node of a stored span, found upwards from the last. */
export function nodeOfSpan(sequence: Sequence, span: number): number {
  let node = sequence.lastNode;
  for (let above = sequence.numStored - 1; above > span; above--) node = sequence.pool.index.parentOf(node);
  return node;
}
