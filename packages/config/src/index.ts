export { type FormatBytesOptions, formatBytes, parseBytes } from "./bytes.ts";
export {
  type CacheSize,
  type CacheUse,
  crossBytesPerEncoderToken,
  growthBytesPerToken,
  type LayerGroupSize,
  sizeOf,
  stateBytesPerSequence,
  windowBytes,
  windowlessBytesPerToken,
} from "./cache-size.ts";
export { elementBytes, isKvDtype, KV_DTYPES, type KvDtype } from "./dtype.ts";
export { InvalidConfigError, NotRunByEngineError, SizeOverflowError, UnsupportedModelError } from "./errors.ts";
export {
  INDEXER_TYPES,
  type IndexerType,
  indexerKeyBytes,
  KV_TYPES,
  type KvFormat,
  type KvFormatInput,
  type KvType,
  latentRowBytes,
  type PackedType,
  resolveFormat,
  rowBytes,
} from "./format.ts";
export { fromGguf, supportedArchitectures } from "./gguf-metadata/from-gguf.ts";
export { type FromHuggingFaceOptions, fromHuggingFace, supportedModelTypes } from "./hugging-face/from-hugging-face.ts";
export { type KVCacheConfig, type ResolvedKVCacheConfig, validateConfig } from "./kv-cache-config.ts";
export { bytesPerToken, calculateSize, layerStrideBytes } from "./kv-cache-size.ts";
export { groupLayers, type LayerGroup } from "./layer-groups.ts";
export type {
  ChunkedLayer,
  CompressedLayer,
  CrossLayer,
  FullLayer,
  KeyValueWidths,
  LatentLayer,
  LayerKind,
  LayerShape,
  NoneLayer,
  SharedLayer,
  SlidingLayer,
  StateLayer,
  StateMechanism,
  WithIndexer,
} from "./layer-shape.ts";
export { LAYER_KINDS } from "./layer-shape.ts";
export type { ModelShape } from "./model-shape.ts";
export { type PlanOptions, type PlanReport, planReport } from "./plan-report.ts";
export type { PlanLimits, PlanSuggestion } from "./plan-suggestions.ts";
export type {
  Rule,
  RuleBlocks,
  RuleDetails,
  RuleFigure,
  RuleLayers,
  RuleName,
  RuleRequest,
  RuleSize,
} from "./rules/rule.ts";
export { RULES, ruleNamed } from "./rules/rules.ts";
export { layersPerStage, type Sharding } from "./sharding.ts";
export { type SizeOptions, type SizeReport, sizeReport } from "./size-report.ts";
export { presets } from "./uniform-presets.ts";
export { uniformFullAttention } from "./uniform-shape.ts";
export { weightsFromIndex } from "./weights.ts";
