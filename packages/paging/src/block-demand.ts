import type { BlockAllocator } from "./block-allocator.ts";
import { OutOfBlocksError, QuotaError } from "./errors.ts";
import type { NamespaceTable } from "./namespace-table.ts";

/**
 * What an operation is going to need, counted before anything changes: [size classes] blocks each. One per pool, cleared
 * by each operation that counts.
 */
export class BlockDemand {
  /** Blocks that will be allocated. */
  readonly wanted: Int32Array;
  /** Blocks that will be given back before that. */
  readonly returned: Int32Array;
  /** Cached blocks that will be held by then. */
  readonly taken: Int32Array;

  constructor(numSizes: number) {
    this.wanted = new Int32Array(numSizes);
    this.returned = new Int32Array(numSizes);
    this.taken = new Int32Array(numSizes);
  }

  clear(): void {
    for (let size = 0; size < this.wanted.length; size++) {
      this.wanted[size] = 0;
      this.returned[size] = 0;
      this.taken[size] = 0;
    }
  }

  /** @throws OutOfBlocksError, QuotaError unless a namespace can have all of it */
  require(allocator: BlockAllocator, namespaces: NamespaceTable, namespace: number): void {
    let added = 0;
    for (let size = 0; size < this.wanted.length; size++) {
      added += this.#require(allocator, size);
    }
    const maxUsed = namespaces.quota(namespace)?.maxUsedBlocks;
    if (maxUsed === undefined || added <= 0) return;
    const used = namespaces.used[namespace] as number;
    if (used + added > maxUsed) throw new QuotaError(namespaces.label(namespace), added, used, maxUsed);
  }

  /** Returns how many more blocks of the size will be held. */
  #require(allocator: BlockAllocator, size: number): number {
    const wanted = this.wanted[size] as number;
    const returned = this.returned[size] as number;
    const taken = this.taken[size] as number;
    const free = allocator.numFreeOf(size);
    const evictable = allocator.numCachedOf(size) - taken + returned;
    if (wanted > free + evictable) {
      const { numBlocks, bytesPerBlock } = allocator.sizes[size] as (typeof allocator.sizes)[number];
      throw new OutOfBlocksError(wanted, free, evictable, allocator.numPinned, numBlocks, bytesPerBlock);
    }
    return wanted + taken - returned;
  }
}
