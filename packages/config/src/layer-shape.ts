/** What one token's keys and values take in one layer, counted in elements. */
export interface KeyValueWidths {
  readonly numKvHeads: number;
  /** Elements of one head's key. */
  readonly keyDim: number;
  /** Elements of one head's value; 0 where keys and values are one stored tensor. */
  readonly valueDim: number;
}

/** A key of a sparse-attention indexer, stored beside the layer's own entries: one head of `indexerKeyDim` elements per token. */
export interface WithIndexer {
  /** 0 where the layer has no indexer of its own. */
  readonly indexerKeyDim: number;
}

interface InModel {
  /** The model's layer that this cache serves, from 0. A layer with two caches appears twice. */
  readonly index: number;
}

/** Keys and values of every token. */
export interface FullLayer extends InModel, KeyValueWidths, WithIndexer {
  readonly kind: "full";
}

/** Keys and values of the last `windowTokens` tokens. */
export interface SlidingLayer extends InModel, KeyValueWidths {
  readonly kind: "sliding";
  readonly windowTokens: number;
}

/** Keys and values of the current chunk; a new chunk starts every `chunkTokens` tokens. */
export interface ChunkedLayer extends InModel, KeyValueWidths {
  readonly kind: "chunked";
  readonly chunkTokens: number;
}

/** One latent vector and one rotary key per token, shared by all heads (multi-head latent attention). */
export interface LatentLayer extends InModel, WithIndexer {
  readonly kind: "latent";
  readonly latentDim: number;
  readonly ropeDim: number;
  /** The keys and values per head that a runtime without absorbed attention stores instead. */
  readonly expanded: KeyValueWidths;
}

/**
 * The last `windowTokens` tokens as they are, and one entry for every complete group of `tokensPerEntry` tokens before
 * them (compressed sparse attention). Keys and values are one tensor of `entryDim` elements; an indexer key goes with each entry.
 */
export interface CompressedLayer extends InModel, WithIndexer {
  readonly kind: "compressed";
  readonly windowTokens: number;
  readonly entryDim: number;
  readonly tokensPerEntry: number;
}

/** Nothing: it reads the cache of layer `readsLayer`. */
export interface SharedLayer extends InModel {
  readonly kind: "shared";
  readonly readsLayer: number;
}

/** Keys and values of the encoder's (or image's) tokens, once per sequence. */
export interface CrossLayer extends InModel, KeyValueWidths {
  readonly kind: "cross";
  /** Encoder tokens of one sequence where the model fixes them; null where the input decides. */
  readonly encoderTokens: number | null;
}

/** Which recurrence a `state` layer keeps. */
export type StateMechanism =
  | "mamba1"
  | "mamba2"
  | "gated-delta-net"
  | "kimi-delta"
  | "lightning"
  | "rg-lru"
  | "short-convolution"
  | "rwkv";

/** A fixed number of elements per sequence, whatever its length: the state of a recurrence and the inputs its convolution looks back on. */
export interface StateLayer extends InModel {
  readonly kind: "state";
  readonly mechanism: StateMechanism;
  /** Channels of the convolution; 0 without one. */
  readonly convWidth: number;
  /** Columns kept per channel: kernel size - 1. */
  readonly convColumns: number;
  /** The part of `convWidth` made of groups, which tensor parallelism cannot split below one group per rank. */
  readonly convGroups: { readonly count: number; readonly width: number };
  readonly stateElements: number;
}

/** Nothing at all: a layer without attention or recurrence. */
export interface NoneLayer extends InModel {
  readonly kind: "none";
}

/** One cache of a model, of one kind. */
export type LayerShape =
  | FullLayer
  | SlidingLayer
  | ChunkedLayer
  | LatentLayer
  | CompressedLayer
  | SharedLayer
  | CrossLayer
  | StateLayer
  | NoneLayer;

/** The name of a kind of layer. */
export type LayerKind = LayerShape["kind"];

/** Every kind of layer. */
export const LAYER_KINDS: readonly LayerKind[] = [
  "full",
  "sliding",
  "chunked",
  "latent",
  "compressed",
  "shared",
  "cross",
  "state",
  "none",
];
