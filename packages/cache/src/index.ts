export { CacheFullError, LayerIndexError } from "./errors.ts";
export { type AllocateCacheOptions, type CacheAppendInput, KVCache } from "./kv-cache.ts";
export { KvTensor } from "./kv-tensor.ts";
