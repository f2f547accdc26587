import type { KVCache } from "@kv/cache";
import type { WrongByte } from "./read-back.ts";
import type { NonZeroByte } from "./verify-zeroes.ts";

/** Where a layer lies in the allocation, and what was found there. */
export interface LayerResult {
  readonly layer: number;
  /** From the start of the allocation. */
  readonly keysOffsetBytes: number;
  readonly valuesOffsetBytes: number;
  readonly sizeBytes: number;
  readonly isZeroed: boolean;
  readonly isReadBack: boolean;
}

/** Every layer of a cache, in order. */
export function layerResults(
  cache: KVCache,
  nonZero: readonly NonZeroByte[],
  wrong: readonly WrongByte[],
): LayerResult[] {
  const notZeroed = new Set(nonZero.map(({ layer }) => layer));
  const notReadBack = new Set(wrong.map(({ layer }) => layer));
  return Array.from({ length: cache.config.numLayers }, (_, layer) => {
    const keys = cache.keys(layer);
    const values = cache.values(layer);
    return {
      layer,
      keysOffsetBytes: keys.offsetBytes,
      valuesOffsetBytes: values.offsetBytes,
      sizeBytes: keys.sizeBytes + values.sizeBytes,
      isZeroed: !notZeroed.has(layer),
      isReadBack: !notReadBack.has(layer),
    };
  });
}
