export { Batch, type BatchLimits } from "./batch.ts";
export { CacheFullError, LayerIndexError } from "./errors.ts";
export { type AllocateCacheOptions, type CacheAppendInput, KVCache } from "./kv-cache.ts";
export { KvTensor } from "./kv-tensor.ts";
export { type AllocatePagedCacheOptions, type BatchAppendInput, PagedKVCache } from "./paged-kv-cache.ts";
export {
  type LayerGroupConfig,
  type LayerPlace,
  type PagedKVCacheConfig,
  type PagedLayout,
  pagedLayout,
} from "./paged-layout.ts";
export { PagedSequence } from "./paged-sequence.ts";
