import type { BlockManager, BlockManagerOptions } from "@kv/paging";
import { plainPool } from "@kv/paging/replay";

/** Most that the bookkeeping of a block takes, besides the tokens that prove hits. */
const BYTES_PER_BLOCK = 64;

/** The bookkeeping of a pool, which is in this process's memory whatever the device, does not fit there. */
export class BookkeepingMemoryError extends Error {
  override readonly name = "BookkeepingMemoryError";
  readonly code = "OUT_OF_MEMORY";

  constructor(
    readonly numBlocks: number,
    readonly wantedBytes: number,
    readonly availableBytes: number,
  ) {
    super(
      `the bookkeeping of ${numBlocks} blocks takes ${wantedBytes} bytes of this machine's memory, where ` +
        `${availableBytes} are available; give --blocks or --sweep fewer, or a larger --block-size`,
    );
  }
}

/** As `plainPool`, if this machine has the memory. @throws BookkeepingMemoryError */
export function poolThatFits(options: BlockManagerOptions): BlockManager {
  checkBookkeepingMemory(options);
  return plainPool(options);
}

/** Filling memory that is not there would end the process without a word. @throws BookkeepingMemoryError */
export function checkBookkeepingMemory(
  options: BlockManagerOptions,
  available: number = process.availableMemory(),
): void {
  const { numBlocks: first, moreSizes = [], tokensPerBlock } = options;
  const numBlocks = moreSizes.reduce((sum, size) => sum + size.numBlocks, first);
  const wantedBytes = numBlocks * (BYTES_PER_BLOCK + tokensPerBlock * Int32Array.BYTES_PER_ELEMENT);
  if (wantedBytes > available) throw new BookkeepingMemoryError(numBlocks, wantedBytes, available);
}
