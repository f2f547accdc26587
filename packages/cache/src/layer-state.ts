import type { DeviceMemory, MemorySlice } from "@kv/device-memory";
import type { StateBytes } from "./cache-group.ts";
import type { BufferLayout, LayerPlace, PagedLayout } from "./paged-layout.ts";

/** One sequence's state in one layer: views, until the sequence's next operation. */
export interface LayerState {
  /** [convWidth, convColumns] in the format's type; no bytes without a convolution. */
  readonly convolution: MemorySlice;
  /** [stateElements] in the format's type; no bytes where the convolution is all. */
  readonly recurrence: MemorySlice;
}

/** Where a state stands in a block. */
export function layerState(
  memory: DeviceMemory,
  layout: PagedLayout,
  { buffer, offsetBytes, holds }: LayerPlace & { readonly holds: StateBytes },
  block: number,
): LayerState {
  const { firstBlock, bytesPerBlock } = layout.buffers[buffer] as BufferLayout;
  const startBytes = (block - firstBlock) * bytesPerBlock + offsetBytes;
  return {
    convolution: memory.slice(startBytes, holds.convBytes),
    recurrence: memory.slice(startBytes + holds.convBytes, holds.stateBytes),
  };
}
