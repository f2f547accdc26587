export { BlockAllocator, type BlockAllocatorOptions, type CacheObserver } from "./block-allocator.ts";
export { type BlockId, NONE } from "./block-id.ts";
export { BlockLists } from "./block-lists.ts";
export {
  BlockManager,
  type BlockManagerOptions,
  type CreateSequenceOptions,
  type ManagerCounters,
  type PrefixOptions,
} from "./block-manager.ts";
export type { BlockTable, TableUsage } from "./block-table.ts";
export type { BlockOperation, ScrubPolicy } from "./block-work.ts";
export type {
  CacheEvent,
  CacheEvents,
  CacheListener,
  CacheSnapshot,
  LostEvents,
  StoredBlock,
} from "./cache-events.ts";
export {
  DisposedError,
  InvalidOptionError,
  InvalidTokenError,
  InvariantError,
  LostBlocksError,
  OutOfBlocksError,
  PinLimitError,
  PositionError,
  QuotaError,
} from "./errors.ts";
export type { Eviction, EvictionReason } from "./eviction-log.ts";
export type { EvictionPolicy, PolicyContext, PolicyFactory } from "./eviction-policy.ts";
export type { BlockExplanation } from "./explain.ts";
export type { LayerGroup, LayerGroupBase, LayerGroupSpec } from "./layer-group.ts";
export type { Namespace } from "./namespace.ts";
export type { NamespaceQuota } from "./namespace-table.ts";
export type { Pin } from "./pin.ts";
export { POLICY_NAMES, type PolicyName } from "./policies/by-name.ts";
export { DEFAULT_PRIORITY } from "./policies/priority.ts";
export { defaultPrefixHash, type PrefixHash } from "./prefix-hash.ts";
export { type PartialChild, PrefixIndex, type PrefixIndexOptions } from "./prefix-index.ts";
export type { DurationHistogram } from "./residency.ts";
export type { RetentionRange } from "./retention.ts";
export type { SequenceOptions } from "./sequence.ts";
export { type BatchArrays, SequenceBatch, type SequenceBatchOptions } from "./sequence-batch.ts";
export type { SizeClass, SizeClassSpec } from "./size-class.ts";
export type { KeyedRange } from "./token-keys.ts";
export type { BlockCounts, NamespaceUsage, PoolUsage, Waste } from "./usage.ts";
