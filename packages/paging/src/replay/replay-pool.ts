import { BlockManager, type BlockManagerOptions } from "../block-manager.ts";
import type { BlockTable } from "../block-table.ts";

/** Makes the empty pool that a replay decides about; whoever has memory behind it gives that one's own. */
export type MakePool = (options: BlockManagerOptions) => BlockManager;

/** Watches what a replay does, to do the same in memory or to write it down. */
export interface ReplayObserver {
  /** Makes the pool. Default: one without memory. */
  readonly makePool?: MakePool;
  /** A request has a table with what was found of its prompt: `table.reusedTokens` of it. */
  readonly onBegin?: (request: number, table: BlockTable) => void;
  /**
   * The tokens `[from, to)` of a request have places and are computed now. Copies and scrubs that `takeWork` hands out come
   * before. Each is an index into the prompt, or beyond its end into the answer.
   */
  readonly onCompute?: (request: number, table: BlockTable, from: number, to: number) => void;
  /** The request is done, or preempted, and its table is about to be disposed of. */
  readonly onEnd?: (request: number, table: BlockTable) => void;
}

/** A pool without memory. */
export function plainPool(options: BlockManagerOptions): BlockManager {
  return new BlockManager(options);
}
