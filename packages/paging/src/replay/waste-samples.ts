import type { BlockManager } from "../block-manager.ts";
import type { ReplayWaste } from "./replay-report.ts";

/** Blocks looked at over a whole replay: each account walks the pool. */
const MOST_BLOCKS = 20_000_000;

/** Averages a pool's own account of its waste over a replay. */
export class WasteSamples {
  #lookedAt = 0;
  #heldBytes = 0;
  #paddingBytes = 0;
  #windowBytes = 0;
  #duplicateBytes = 0;

  /** Adds the waste of now, unless pools of this size have been walked too often already. */
  add(manager: BlockManager): void {
    if (this.#lookedAt > MOST_BLOCKS) return;
    this.#lookedAt += manager.numBlocks;
    const { waste, poolBytes, freeBytes, cachedBlocks, freeBlocks, numBlocks } = manager.usage();
    // Blocks of several sizes are not told apart here: the cached ones count as large as the others.
    const heldShare = 1 - cachedBlocks / Math.max(1, numBlocks - freeBlocks);
    this.#heldBytes += (poolBytes - freeBytes) * heldShare;
    this.#paddingBytes += waste.paddingBytes;
    this.#windowBytes += waste.windowBytes;
    this.#duplicateBytes += waste.duplicateBytes;
  }

  /** Shares of all bytes that were held. */
  shares(): Omit<ReplayWaste, "tail"> {
    const share = (bytes: number): number => (this.#heldBytes === 0 ? 0 : bytes / this.#heldBytes);
    return {
      padding: share(this.#paddingBytes),
      windows: share(this.#windowBytes),
      duplicates: share(this.#duplicateBytes),
    };
  }
}
