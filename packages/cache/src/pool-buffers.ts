import type { Device, DeviceMemory, MemorySlice, Stream } from "@kv/device-memory";
import type { BlockOperation } from "@kv/paging";
import type { VramTracker } from "@kv/vram-tracker";
import type { BufferLayout, PagedLayout } from "./paged-layout.ts";

/** Where buffers are allocated and accounted for. */
interface PoolOptions {
  readonly tracker: VramTracker | undefined;
  readonly owner: string | undefined;
  readonly stream: Stream;
}

/** Allocates the buffers and queues their zeroing: all of them, or none and an error. */
export function allocateBuffers(device: Device, layout: PagedLayout, options: PoolOptions): DeviceMemory[] {
  const { tracker, owner, stream } = options;
  const made: DeviceMemory[] = [];
  try {
    for (const { numBlocks, bytesPerBlock, sizeBytes } of layout.buffers) {
      const memory = device.allocate(sizeBytes, {
        purpose: "kv_cache",
        description: `${numBlocks} blocks of ${bytesPerBlock} bytes, ${layout.tokensPerBlock} tokens each`,
        stream,
        ...(tracker === undefined ? {} : { tracker }),
        ...(owner === undefined ? {} : { owner }),
      });
      made.push(memory);
    }
    return made;
  } catch (error) {
    for (const memory of made) memory.dispose();
    throw error;
  }
}

/** Does on the device what the bookkeeping has assumed: scrubs and copies of whole blocks, in their order. */
export function runBlockOperation(
  layout: PagedLayout,
  buffers: readonly DeviceMemory[],
  operation: BlockOperation,
  stream: Stream,
): void {
  if (operation.kind === "scrub") {
    for (const block of operation.blocks) blockOf(layout, buffers, block).zero(stream);
    return;
  }
  blockOf(layout, buffers, operation.to).copyFrom(blockOf(layout, buffers, operation.from), stream);
}

function blockOf({ buffers: layouts }: PagedLayout, buffers: readonly DeviceMemory[], block: number): MemorySlice {
  let buffer = layouts.length - 1;
  while (block < (layouts[buffer] as BufferLayout).firstBlock) buffer--;
  const { firstBlock, bytesPerBlock } = layouts[buffer] as BufferLayout;
  return (buffers[buffer] as DeviceMemory).slice((block - firstBlock) * bytesPerBlock, bytesPerBlock);
}
