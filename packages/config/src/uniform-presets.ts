import type { KVCacheConfig } from "./kv-cache-config.ts";

/** Well-known models whose layers are all alike, with the context at which they are checked by default. */
export const presets: Readonly<Record<"qwen2.5-0.5b" | "llama-3-8b" | "llama-3-70b", KVCacheConfig>> = {
  "qwen2.5-0.5b": { numLayers: 24, maxContextLength: 2048, numKvHeads: 2, headDim: 64 },
  "llama-3-8b": { numLayers: 32, maxContextLength: 4096, numKvHeads: 8, headDim: 128 },
  "llama-3-70b": { numLayers: 80, maxContextLength: 8192, numKvHeads: 8, headDim: 128 },
};
