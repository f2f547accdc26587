import { elementBytes } from "./dtype.ts";
import { exactProduct } from "./exact.ts";
import { type KVCacheConfig, validateConfig } from "./kv-cache-config.ts";

/**
 * Bytes of the whole cache: 2 (keys and values) × layers × context × KV heads × head size × element bytes. Exact.
 *
 * @throws InvalidConfigError if the configuration is wrong
 * @throws SizeOverflowError if the size is beyond `Number.MAX_SAFE_INTEGER`
 */
export function calculateSize(config: KVCacheConfig): number {
  const { numLayers, maxContextLength, numKvHeads, headDim, dtype } = validateConfig(config);
  return exactProduct("the cache", 2, numLayers, maxContextLength, numKvHeads, headDim, elementBytes(dtype));
}

/** Bytes from the keys of one layer to the keys of the next: the layer's keys and its values. Throws as `calculateSize`. */
export function layerStrideBytes(config: KVCacheConfig): number {
  const { maxContextLength, numKvHeads, headDim, dtype } = validateConfig(config);
  return exactProduct("one layer", 2, maxContextLength, numKvHeads, headDim, elementBytes(dtype));
}

/** Bytes that one token takes: its keys and values in every layer. Throws as `calculateSize`. */
export function bytesPerToken(config: KVCacheConfig): number {
  const { numLayers, numKvHeads, headDim, dtype } = validateConfig(config);
  return exactProduct("one token", 2, numLayers, numKvHeads, headDim, elementBytes(dtype));
}
