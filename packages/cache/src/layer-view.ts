import { elementBytes } from "@kv/config";
import type { DeviceMemory } from "@kv/device-memory";
import { KvView, type PlaneLayout } from "@kv/kernels";
import type { TokenRow } from "./cache-group.ts";
import type { BufferLayout, LayerPlace } from "./paged-layout.ts";

/** One layer of a buffer of blocks, as the kernels take it. */
export function layerView(
  memory: DeviceMemory,
  { numBlocks, bytesPerBlock }: BufferLayout,
  { offsetBytes, holds }: LayerPlace & { readonly holds: TokenRow },
  tokensPerBlock: number,
): KvView {
  const { dtype, numKvHeads, keyDim, valueDim, isJoined } = holds;
  const keyBytes = numKvHeads * keyDim * elementBytes(dtype);
  const valueBytes = numKvHeads * valueDim * elementBytes(dtype);
  const plane = (startBytes: number, rowBytes: number, tokenStrideBytes: number, headDim: number): PlaneLayout => ({
    memory: memory.slice(
      startBytes,
      (numBlocks - 1) * bytesPerBlock + (tokensPerBlock - 1) * tokenStrideBytes + rowBytes,
    ),
    blockStrideBytes: bytesPerBlock,
    tokenStrideBytes,
    headStrideBytes: rowBytes / numKvHeads,
    headDim,
  });
  const joinedBytes = keyBytes + valueBytes;
  const keys = plane(offsetBytes, keyBytes, isJoined ? joinedBytes : keyBytes, keyDim);
  const valuesAt = offsetBytes + (isJoined ? keyBytes : tokensPerBlock * keyBytes);
  const values = plane(valuesAt, valueBytes, isJoined ? joinedBytes : valueBytes, valueDim);
  return new KvView({ keys, values, dtype, numKvHeads, tokensPerBlock, numBlocks });
}
