import type { KvDtype, KvFormatInput, ModelShape } from "@kv/config";

/** Layers that keep the same tokens: all of them, the last `windowTokens`, or those of the current chunk. */
export type LayerGroupConfig = { readonly name: string; readonly layers: readonly number[] } & (
  | { readonly kind: "full" }
  | { readonly kind: "sliding"; readonly windowTokens: number }
  | { readonly kind: "chunked"; readonly chunkTokens: number }
);

/** Layers of one width, in so many blocks. */
export interface UniformPagedConfig {
  readonly numLayers: number;
  readonly numKvHeads: number;
  /** Elements of one head, the same for keys and values. */
  readonly headDim: number;
  /** `"fp16"` unless given. */
  readonly dtype?: KvDtype;
  readonly numBlocks: number;
  /** 16 unless given. */
  readonly tokensPerBlock?: number;
  /** Which layers keep what. One group of all layers, which keeps every token, unless given. */
  readonly layerGroups?: readonly LayerGroupConfig[];
}

/**
 * A model, and room for `sequences` sequences of `tokens` tokens, to the byte what `sizeOf` of `@kv/config` says of them.
 * Longer sequences, or more of them, fit as long as blocks are left.
 */
export interface ModelPagedConfig {
  /** Layers that are full, sliding, chunked, latent or state; those that are shared or none take nothing. */
  readonly shape: ModelShape;
  readonly tokens: number;
  /** 1 unless given. */
  readonly sequences?: number;
  /** Plain types; keys and values of the same. `"fp16"` unless given. */
  readonly format?: KvFormatInput;
  /** 16 unless given. */
  readonly tokensPerBlock?: number;
  /**
   * Keep a copy of recurrent states every so many tokens, a multiple of `tokensPerBlock`: only there can a prefix be
   * reused. Copies stand where sequences could: each needs the room of one. None unless given.
   */
  readonly checkpointTokens?: number;
}

/** What a cache in blocks is made for. */
export type PagedKVCacheConfig = UniformPagedConfig | ModelPagedConfig;
