export { type AppendInput, append } from "./append.ts";
export type { AttentionOptions } from "./attention-options.ts";
export { type BlockPair, copyBlocks } from "./copy-blocks.ts";
export { type DecodeAttentionInput, decodeAttention } from "./decode-attention.ts";
export { DtypeError, ShapeError } from "./errors.ts";
export { type HostElements, requireDtype } from "./host-elements.ts";
export { KvView, type KvViewLayout, type PlaneLayout } from "./kv-view.ts";
export { type MergeAttentionInput, mergeAttention } from "./merge-attention.ts";
export { type PrefillAttentionInput, prefillAttention } from "./prefill-attention.ts";
