export { type FormatBytesOptions, formatBytes, parseBytes } from "./bytes.ts";
export { elementBytes, isKvDtype, KV_DTYPES, type KvDtype } from "./dtype.ts";
export { InvalidConfigError, SizeOverflowError } from "./errors.ts";
export { type KVCacheConfig, type ResolvedKVCacheConfig, validateConfig } from "./kv-cache-config.ts";
export { bytesPerToken, calculateSize, layerStrideBytes } from "./kv-cache-size.ts";
export { presets } from "./uniform-presets.ts";
