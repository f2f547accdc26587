import { LostBlocksError } from "./errors.ts";
import type { LayerGroup } from "./layer-group.ts";
import type { Sequence } from "./sequence.ts";
import { nodeOfSpan } from "./sequence-store.ts";

/** Takes blocks for the running states; they are there. States that begin are zero on the device. */
export function allocateStates(sequence: Sequence, begins: boolean): void {
  const { pool } = sequence;
  for (const unit of pool.stateUnits) {
    const size = pool.sizeOfUnit[unit] as number;
    (sequence.blocks[unit] as Int32Array)[0] = pool.allocator.allocate(sequence.namespace, size, begins);
  }
}

/** Copies the states that are stored at a node, where a match found them, to the running ones. */
export function restoreStates(sequence: Sequence, node: number, length: number): void {
  for (const unit of sequence.pool.stateUnits) {
    copyState(sequence, unit, sequence.pool.index.blockOf(node, unit), sequence, length);
  }
}

/**
 * Keeps copies of the running states at a node whose position is a checkpoint. Takes blocks that are free or evictable;
 * where there are none, or a quota is reached, the checkpoint is left out; and where a commit went on past it, since the
 * state has gone on too.
 */
export function saveStates(sequence: Sequence, node: number, length: number): void {
  const { pool, namespace } = sequence;
  if (sequence.storesOnCommit && length !== sequence.committed) return;
  for (const unit of pool.stateUnits) {
    const every = (pool.groupOfUnit[unit] as LayerGroup).spanTokens;
    if (every === 0 || length % every !== 0 || pool.index.blockOf(node, unit) >= 0) continue;
    const maxUsed = pool.namespaces.quota(namespace)?.maxUsedBlocks ?? Number.POSITIVE_INFINITY;
    if ((pool.namespaces.used[namespace] as number) >= maxUsed) continue;
    const block = pool.allocator.allocate(namespace, pool.sizeOfUnit[unit] as number);
    if (block < 0) continue;
    pool.work.copy(groupNumber(sequence, unit), (sequence.blocks[unit] as Int32Array)[0] as number, block, length);
    pool.allocator.store(node, unit, block);
    pool.allocator.release(block, false);
  }
}

/** @throws LostBlocksError unless the states at `position` are the running ones or checkpoints */
export function checkStates(sequence: Sequence, operation: string, position: number): void {
  if (position === sequence.length || position === 0) return;
  for (const unit of sequence.pool.stateUnits) {
    if (checkpointAt(sequence, unit, position) >= 0) continue;
    throw new LostBlocksError(operation, (sequence.pool.groupOfUnit[unit] as LayerGroup).name, position);
  }
}

/**
 * Copies the states at `position` of one sequence to the running ones of another, or of itself. At position 0 a state is
 * zero.
 */
export function copyStates(from: Sequence, to: Sequence, position: number): void {
  if (from === to && position === from.length) return;
  if (position === 0) {
    if (from === to)
      for (const unit of from.pool.stateUnits) from.pool.work.scrub((from.blocks[unit] as Int32Array)[0] as number);
    return;
  }
  for (const unit of from.pool.stateUnits) {
    const running = (from.blocks[unit] as Int32Array)[0] as number;
    copyState(from, unit, position === from.length ? running : checkpointAt(from, unit, position), to, position);
  }
}

function copyState(from: Sequence, unit: number, block: number, to: Sequence, length: number): void {
  from.pool.work.copy(groupNumber(from, unit), block, (to.blocks[unit] as Int32Array)[0] as number, length);
}

function checkpointAt(sequence: Sequence, unit: number, position: number): number {
  const { tokensPerBlock, index } = sequence.pool;
  const span = position / tokensPerBlock - 1;
  if (!Number.isInteger(span) || span >= sequence.numStored) return -1;
  return index.blockOf(nodeOfSpan(sequence, span), unit);
}

function groupNumber(sequence: Sequence, unit: number): number {
  return sequence.pool.groups.indexOf(sequence.pool.groupOfUnit[unit] as LayerGroup);
}
