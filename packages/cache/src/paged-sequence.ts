import type { BlockTable, KeyedRange } from "@kv/paging";

/**
 * A list of tokens that grows, with its blocks in a `PagedKVCache`. Its tokens have places as soon as they are appended;
 * their keys and values are there once a batch has written them. Disposing gives the blocks back; full ones stay cached for
 * others to reuse until their room is needed.
 */
export class PagedSequence implements Disposable {
  /** Prompt tokens whose keys and values were found in the cache. */
  readonly reusedTokens: number;
  /** @internal The bookkeeping behind it. */
  readonly table: BlockTable;
  #writtenTokens: number;

  /** @internal */
  constructor(table: BlockTable, writtenTokens: number = table.reusedTokens) {
    this.table = table;
    this.reusedTokens = table.reusedTokens;
    this.#writtenTokens = writtenTokens;
  }

  /** Tokens that have a place. */
  get length(): number {
    return this.table.length;
  }

  /** Leading tokens whose keys and values are in the cache. */
  get writtenTokens(): number {
    return this.#writtenTokens;
  }

  get isDisposed(): boolean {
    return this.table.isDisposed;
  }

  /**
   * The blocks of a layer group in order, as `cache.blocks` numbers them, -1 where a window has left; of a group of states
   * the one block of the running state.
   */
  blockTable(group = 0, part = 0): readonly number[] {
    return this.table.blocks(group, part);
  }

  /**
   * Gives further tokens a place; the next batch writes them.
   * @throws OutOfBlocksError, QuotaError, InvalidTokenError, DisposedError; the sequence is as it was then
   */
  append(tokens: Int32Array | readonly number[], keys?: readonly KeyedRange[]): void {
    this.table.append(tokens, keys);
  }

  /** As `append` for one token, as decoding has it: quicker. */
  appendToken(token: number): void {
    this.table.appendToken(token);
  }

  /**
   * A second sequence with the first `position` tokens, in the same blocks until one of them writes.
   * @throws PositionError when that many are not written yet; LostBlocksError, DisposedError
   */
  fork(position: number = this.#writtenTokens): PagedSequence {
    return new PagedSequence(this.table.fork(position), Math.min(position, this.#writtenTokens));
  }

  /** Forgets all tokens behind the first `length`. @throws PositionError, LostBlocksError, DisposedError */
  truncate(length: number): void {
    this.table.truncate(length);
    this.#writtenTokens = Math.min(this.#writtenTokens, length);
  }

  /** @internal Says that the keys and values of the first `length` tokens are queued for writing. */
  wrote(length: number): void {
    this.#writtenTokens = length;
    this.table.commit(length);
  }

  dispose(): void {
    this.table.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
