import type { BlockLists } from "./block-lists.ts";

/** What a policy may know and use. All is per block of the pool. */
export interface PolicyContext {
  readonly numBlocks: number;
  /** Those of them that the policy orders: all, or those of one size. */
  readonly numOwnBlocks: number;
  /** Those of its own that are cached now. */
  numCached(): number;
  /** Links that all policies of a pool share: a cached block is in one list at most. */
  readonly lists: BlockLists;
  /** How often a prefix hit has taken the block since it was stored, at most 255. */
  readonly timesReused: Uint8Array;
  /** Hash of the block's tokens and all before them: the same for the same contents, also after an eviction. */
  prefixHashOf(block: number): number;
  /** Whether a sequence or a pin holds the block now. */
  isHeld(block: number): boolean;
  /** Whole milliseconds since the block was last let go of, by the pool's clock; right up to 49 days. */
  idleMs(block: number): number;
}

/**
 * The order in which cached blocks are evicted. One file each in `policies/`.
 *
 * It decides among cached blocks that nobody holds. That a block with a cached child stays is not its task: such a
 * candidate is removed and comes back by `restore` when its last child has gone.
 */
export interface EvictionPolicy {
  readonly name: string;
  /** A new prefix is in `block`, which a sequence holds. */
  stored?(block: number): void;
  /** Nobody holds the block any more. `deepest`: it was the last one with a prefix in its sequence. */
  insert(block: number, deepest: boolean): void;
  /** A prefix hit, a fork or a pin holds the block again. */
  reuse(block: number): void;
  /** The block may not be evicted now, or is no longer cached. It may be in no list already. */
  remove(block: number): void;
  /** The next block to evict, or -1 if there is none. */
  candidate(): number;
  /** The block was a candidate with a cached child; now it has none. */
  restore(block: number): void;
  /** Gives later `insert`s of the block a priority for a while; a policy without it ignores priorities. */
  retain?(block: number, priority: number, ttlMs: number): void;
  /** Why the block is where it is in the order, for people. */
  explain(block: number): string;
}

/** Makes the policy of one pool; a pool calls it once, and once for each namespace with a cap on cached blocks. */
export type PolicyFactory = (context: PolicyContext) => EvictionPolicy;
