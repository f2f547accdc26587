import { type BlockId, NONE } from "./block-id.ts";
import { checkInteger } from "./check.ts";
import { DisposedError, PositionError } from "./errors.ts";
import type { LayerGroup } from "./layer-group.ts";
import { bytesOf } from "./pool.ts";
import { forEachHeldBlock, releaseSequence, reservePending, type Sequence } from "./sequence.ts";
import { appendTokens } from "./sequence-append.ts";
import { forkSequence } from "./sequence-fork.ts";
import { storePending } from "./sequence-store.ts";
import { truncateSequence } from "./sequence-truncate.ts";
import { checkToken, checkTokens, type KeyedRange } from "./token-keys.ts";

/** Blocks that one sequence holds. */
export interface TableUsage {
  /** Blocks that it alone holds. */
  readonly ownBlocks: number;
  /** Blocks that it holds together with other sequences or pins. */
  readonly sharedBlocks: number;
  readonly ownBytes: number;
  readonly sharedBytes: number;
}

/** Told when a sequence begins and ends. */
export interface TableRegistry {
  add(table: BlockTable, sequence: Sequence): void;
  delete(table: BlockTable): void;
}

/**
 * The blocks of one sequence, in order, for each layer group.
 *
 * Appending takes blocks as tokens need them. A block that others hold, or that a cached prefix goes on from, is copied
 * before it is written to: `BlockManager.takeWork` says what to copy. A failed operation changes nothing. Made by
 * `BlockManager`; disposing gives the blocks back, and full ones stay cached.
 */
export class BlockTable {
  /** Prompt tokens that were found in the cache when the sequence was created. */
  readonly reusedTokens: number;
  readonly #sequence: Sequence;
  readonly #registry: TableRegistry;

  /** For `BlockManager`; a table made otherwise is in nobody's accounts. */
  constructor(sequence: Sequence, reusedTokens: number, registry: TableRegistry) {
    this.#sequence = sequence;
    this.#registry = registry;
    this.reusedTokens = reusedTokens;
    registry.add(this, sequence);
  }

  /** Tokens that have a place. */
  get length(): number {
    return this.#sequence.length;
  }

  /** Entries of each group's block table: blocks of tokens, the last perhaps not full. */
  get numBlocks(): number {
    return this.#sequence.numSpans;
  }

  /** Goes up whenever an entry is replaced or removed. New entries at the end do not count. */
  get revision(): number {
    return this.#sequence.revision;
  }

  /** Leading tokens that others can reuse now. */
  get storedTokens(): number {
    return this.#sequence.numStored * this.#sequence.pool.tokensPerBlock;
  }

  get isDisposed(): boolean {
    return this.#sequence.isDisposed;
  }

  /**
   * The block table of a group: entry `i` is the block of tokens `i * tokensPerBlock` and following, or -1 where a window
   * has left. `part` chooses among the `blocksPerSpan` of the group. For a state group the one block of its running state.
   */
  blocks(group = 0, part = 0): BlockId[] {
    const table = this.view(group, part);
    const isState = this.#sequence.pool.groups[group]?.kind === "state";
    return Array.from(table.subarray(0, isState ? 1 : this.numBlocks)) as BlockId[];
  }

  /** As `blocks` without a copy: has room behind the last entry, and is valid until the next operation. */
  view(group = 0, part = 0): Int32Array {
    this.#checkAlive();
    const { groups } = this.#sequence.pool;
    const { firstUnit, blocksPerSpan } = groups[checkInteger("group", group, 0, groups.length - 1)] as LayerGroup;
    return this.#sequence.blocks[firstUnit + checkInteger("part", part, 0, blocksPerSpan - 1)] as Int32Array;
  }

  /** The slot of a token: block × tokensPerBlock + offset, or -1 where a window has left. @throws PositionError */
  slot(position: number, group = 0, part = 0): number {
    if (!Number.isInteger(position) || position < 0 || position >= this.length) {
      throw new PositionError("slot", position, this.length - 1);
    }
    const size = this.#sequence.pool.tokensPerBlock;
    const block = this.view(group, part)[Math.floor(position / size)] as number;
    return block < 0 ? NONE : block * size + (position % size);
  }

  /**
   * Appends tokens and takes blocks for them. `keys` say that tokens at some positions of `tokens` mean more than their
   * number, so that only the same key makes them equal.
   *
   * @throws OutOfBlocksError, QuotaError, InvalidTokenError, InvalidOptionError, DisposedError
   */
  append(tokens: Int32Array | readonly number[], keys?: readonly KeyedRange[]): void {
    this.#checkAlive();
    const sequence = this.#sequence;
    const checked = checkTokens(tokens);
    const keyed = sequence.pool.keys.apply(checked, keys);
    try {
      appendTokens(sequence, keyed, 0);
    } catch (error) {
      if (keyed !== checked) sequence.pool.keys.release(keyed);
      throw error;
    }
    if (keyed !== checked) sequence.keyed.push(keyed);
  }

  /** Appends one token, as decoding does: quicker than `append`. Errors as there. */
  appendToken(token: number): void {
    const sequence = this.#sequence;
    checkToken(token, 0);
    if (sequence.tailRoom === 0 || !sequence.tailReady || sequence.isDisposed) {
      this.#checkAlive();
      sequence.pool.oneToken[0] = token;
      appendTokens(sequence, sequence.pool.oneToken, 0);
      return;
    }
    if (sequence.isStoring) {
      if (sequence.numPending === sequence.pending.length) reservePending(sequence, 1);
      sequence.pending[sequence.numPending++] = token;
    }
    sequence.length++;
    if (--sequence.tailRoom === 0 && sequence.isStoring) storePending(sequence);
  }

  /**
   * A second sequence with the first `position` tokens, all unless told otherwise, in the same blocks.
   *
   * @throws PositionError, LostBlocksError, OutOfBlocksError (only for running states), DisposedError
   */
  fork(position: number = this.length): BlockTable {
    this.#checkAlive();
    this.#checkPosition("fork", position);
    return new BlockTable(forkSequence(this.#sequence, position), 0, this.#registry);
  }

  /**
   * Forgets all tokens behind the first `length`. Groups with a window or a state need what they gave back or overwrote
   * to be cached still.
   *
   * @throws PositionError, LostBlocksError, DisposedError
   */
  truncate(length: number): void {
    this.#checkAlive();
    this.#checkPosition("truncate", length);
    truncateSequence(this.#sequence, length);
  }

  /** With `storeOn: "commit"`: the keys and values of the first `length` tokens are written, others may reuse them. */
  commit(length: number = this.length): void {
    this.#checkAlive();
    this.#checkPosition("commit", length);
    if (!this.#sequence.storesOnCommit) return;
    this.#sequence.committed = Math.max(this.#sequence.committed, length);
    storePending(this.#sequence);
  }

  /** Blocks that the sequence holds, alone and with others. Looks at each of them. */
  usage(): TableUsage {
    this.#checkAlive();
    const { pool } = this.#sequence;
    const usage = { ownBlocks: 0, sharedBlocks: 0, ownBytes: 0, sharedBytes: 0 };
    forEachHeldBlock(this.#sequence, (block) => {
      const isOwn = pool.allocator.references[block] === 1;
      usage[isOwn ? "ownBlocks" : "sharedBlocks"]++;
      usage[isOwn ? "ownBytes" : "sharedBytes"] += bytesOf(pool, block);
    });
    return usage;
  }

  /** Gives all blocks back, the deepest first; may be called again. */
  dispose(): void {
    if (this.#sequence.isDisposed) return;
    releaseSequence(this.#sequence);
    this.#registry.delete(this);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #checkAlive(): void {
    if (this.#sequence.isDisposed) throw new DisposedError("the sequence");
  }

  #checkPosition(operation: string, position: number): void {
    if (Number.isInteger(position) && position >= 0 && position <= this.length) return;
    throw new PositionError(operation, position, this.length);
  }
}
