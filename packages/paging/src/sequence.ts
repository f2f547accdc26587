import { NONE } from "./block-id.ts";
import type { Pool } from "./pool.ts";
import type { RetentionRange } from "./retention.ts";

/** How one sequence uses the cache. */
export interface SequenceOptions {
  /** Whether its full blocks become prefixes that others can reuse. Default true. */
  cache?: boolean;
  /**
   * When that happens: as soon as tokens are appended, or when `commit` says that their keys and values are there.
   * Default "append".
   */
  storeOn?: "append" | "commit";
  /** Priorities of its blocks, for the policy `priority`. */
  retention?: readonly RetentionRange[];
}

/**
 * The state of one sequence: plain data that the functions of `sequence-*.ts` work on and `BlockTable` shows.
 *
 * `blocks[unit]` is [numSpans] for a unit that holds tokens, with -1 before `firstHeld[unit]`, and [1] for one that holds
 * a running state. The first `numStored` spans are in the index, the last of them at `lastNode`; the tokens behind them
 * are in `pending`.
 */
export class Sequence {
  readonly blocks: Int32Array[];
  readonly firstHeld: Int32Array;
  readonly keyed: Int32Array[] = [];
  readonly retention: readonly RetentionRange[];
  readonly storesOnCommit: boolean;
  pending: Int32Array;
  numPending = 0;
  numSpans = 0;
  length = 0;
  /** Free places in the last block. */
  tailRoom = 0;
  /** Nobody else holds the last block and the index does not know it: it can be written to. */
  tailReady: boolean = true;
  numStored = 0;
  lastNode: number;
  committed: number;
  /** Whether `pending` is complete and full blocks go into the index. */
  isStoring: boolean;
  revision = 0;
  isDisposed: boolean = false;

  constructor(
    readonly pool: Pool,
    readonly namespace: number,
    readonly root: number,
    readonly options: SequenceOptions,
  ) {
    this.lastNode = root;
    this.retention = options.retention ?? [];
    this.isStoring = options.cache !== false;
    this.storesOnCommit = options.storeOn === "commit";
    this.committed = this.storesOnCommit ? 0 : Number.POSITIVE_INFINITY;
    this.pending = new Int32Array(pool.tokensPerBlock);
    this.firstHeld = new Int32Array(pool.groupOfUnit.length);
    this.blocks = pool.groupOfUnit.map(({ kind }) => new Int32Array(kind === "state" ? 1 : 16).fill(NONE));
    const { users } = pool.namespaces;
    users[namespace] = (users[namespace] as number) + 1;
  }
}

/** Ties the sequence to another node of the index. */
export function moveTo(sequence: Sequence, node: number): void {
  const { allocator } = sequence.pool;
  if (allocator.holdsNodes) {
    allocator.holdNode(node);
    allocator.unholdNode(sequence.lastNode);
  }
  sequence.lastNode = node;
}

/** Makes room for `numSpans` entries in every block table. */
export function reserveSpans(sequence: Sequence, numSpans: number): void {
  for (const unit of sequence.pool.tokenUnits) {
    const blocks = sequence.blocks[unit] as Int32Array;
    if (blocks.length >= numSpans) continue;
    // A sequence that begins with a prefix has no blocks before the window.
    const larger = new Int32Array(Math.max(numSpans, 2 * blocks.length)).fill(NONE);
    larger.set(blocks.subarray(0, sequence.numSpans));
    sequence.blocks[unit] = larger;
  }
}

/** Makes room for `count` more pending tokens. */
export function reservePending(sequence: Sequence, count: number): void {
  const wanted = sequence.numPending + count;
  if (sequence.pending.length >= wanted) return;
  const larger = new Int32Array(Math.max(wanted, 2 * sequence.pending.length));
  larger.set(sequence.pending.subarray(0, sequence.numPending));
  sequence.pending = larger;
}

/** Releases the spans `[from, to)`, the deepest first. */
export function releaseSpans(sequence: Sequence, from: number, to: number): void {
  const { pool, blocks } = sequence;
  const { allocator, tokenUnits } = pool;
  const deepest = sequence.numStored - 1;
  for (let span = to - 1; span >= from; span--) {
    for (let i = 0; i < tokenUnits.length; i++) {
      const unit = tokenUnits[i] as number;
      const table = blocks[unit] as Int32Array;
      const block = table[span] as number;
      // A window has left it, or going back has regained blocks before it.
      if (block === NONE) continue;
      allocator.release(block, span === deepest);
      table[span] = NONE;
    }
  }
}

/** Calls `visit` with every block that the sequence holds and the unit that it has it for. */
export function forEachHeldBlock(sequence: Sequence, visit: (block: number, unit: number) => void): void {
  for (const unit of sequence.pool.tokenUnits) {
    const table = sequence.blocks[unit] as Int32Array;
    const first = sequence.firstHeld[unit] as number;
    for (let span = first; span < sequence.numSpans; span++) visit(table[span] as number, unit);
  }
  for (const unit of sequence.pool.stateUnits) visit((sequence.blocks[unit] as Int32Array)[0] as number, unit);
}

/** Gives everything back. */
export function releaseSequence(sequence: Sequence): void {
  const { pool, namespace } = sequence;
  pool.allocator.readClock();
  releaseSpans(sequence, 0, sequence.numSpans);
  for (const unit of pool.stateUnits) {
    const block = (sequence.blocks[unit] as Int32Array)[0] as number;
    if (block >= 0) pool.allocator.release(block, false);
  }
  moveTo(sequence, sequence.root);
  for (const tokens of sequence.keyed) pool.keys.release(tokens);
  sequence.isDisposed = true;
  const { users } = pool.namespaces;
  users[namespace] = (users[namespace] as number) - 1;
  if (users[namespace] === 0) pool.namespaces.closeIfUnused(namespace);
}
