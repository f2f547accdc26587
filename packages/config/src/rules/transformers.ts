import { sizeOf } from "../cache-size.ts";
import { trustShape } from "../check-shape.ts";
import { InvalidConfigError, NotRunByEngineError } from "../errors.ts";
import type { LayerShape } from "../layer-shape.ts";
import type { ModelShape } from "../model-shape.ts";
import { isCompressed } from "./deepseek-v4.ts";
import { Knobs } from "./knobs.ts";
import type { Rule, RuleLayers, RuleRequest, RuleSize } from "./rule.ts";

/**
 * Hugging Face transformers, eager caches of one process. Knobs: `cache` (`dynamic` unless given, or `static`), and
 * `majorVersion` (5 unless given; 4 stored the keys and values of every head for latent attention).
 *
 * The dynamic cache keeps one token less than the window between steps, the static one a whole window of
 * `max_cache_len`. Convolutions keep as many columns as their kernel has.
 */
export const transformersRule: Rule = {
  name: "transformers",
  version: "5 (and 4, by the knob majorVersion)",
  documentation: [
    "https://github.com/huggingface/transformers/blob/main/src/transformers/cache_utils.py",
    "https://huggingface.co/docs/transformers/main/en/cache_explanation",
    "https://github.com/deepseek-ai/DeepSeek-R1/issues/238",
    "https://github.com/huggingface/transformers/blob/main/src/transformers/models/deepseek_v4/modular_deepseek_v4.py",
  ],
  size,
};

function size(shape: ModelShape, request: RuleRequest): RuleSize {
  const knobs = new Knobs(request.knobs, ["cache", "majorVersion"]);
  const isStatic = knobs.choice("cache", ["dynamic", "static"], "dynamic") === "static";
  const majorVersion = knobs.count("majorVersion", 5);
  if (majorVersion !== 4 && majorVersion !== 5)
    throw new InvalidConfigError("knobs.majorVersion", majorVersion, "4 or 5");
  refuseCompressed(shape, isStatic, majorVersion);
  const { tokens, sequences, encoderTokens, format, sharding } = request;
  const cached = cachedShape(shape, isStatic, majorVersion);
  const sized = sizeOf(cached, { tokens, sequences, encoderTokens, format, sharding });
  const layersOf = (): RuleLayers[] =>
    sized.layers.map(({ kind, count, bytes }) => ({ kind, count, bytes: bytes * sequences }));
  return {
    ...sized,
    details: () => ({
      layers: isCompressed(shape) ? withBuffers(layersOf()) : layersOf(),
      figures: [],
      assumptions: [],
      blocks: null,
    }),
  };
}

/** A plan sizes the same layers many times: what they are cached as is made once, and kept until it is another. */
const latest = new WeakMap<readonly LayerShape[], { readonly key: string; readonly cached: ModelShape }>();

function cachedShape(shape: ModelShape, isStatic: boolean, majorVersion: number): ModelShape {
  const key = `${isStatic} ${majorVersion}`;
  const known = latest.get(shape.layers);
  if (known?.key === key) return known.cached;
  const layers = shape.layers.flatMap((layer) => asCached(layer, isStatic, majorVersion));
  const cached = trustShape({ ...shape, layers });
  latest.set(shape.layers, { key, cached });
  return cached;
}

function refuseCompressed(shape: ModelShape, isStatic: boolean, majorVersion: number): void {
  if (!isCompressed(shape)) return;
  const compressed = shape.layers.find(({ kind }) => kind === "compressed") as LayerShape;
  if (majorVersion === 4) {
    const reason = "DeepSeek-V4 came with version 5";
    throw new NotRunByEngineError("transformers", "version 4", shape.modelType, compressed, reason);
  }
  if (isStatic) throw new InvalidConfigError("knobs.cache", "static", "dynamic: compressors have no static cache");
}

function asCached(layer: LayerShape, isStatic: boolean, majorVersion: number): LayerShape[] {
  switch (layer.kind) {
    case "latent":
      if (majorVersion === 5) return [layer];
      return [{ kind: "full", index: layer.index, indexerKeyDim: layer.indexerKeyDim, ...layer.expanded }];
    case "sliding":
      return [slidingCache(layer, isStatic)];
    case "chunked":
      return [slidingOver(layer, isStatic)];
    case "state":
      return [layer.convWidth === 0 ? layer : { ...layer, convColumns: layer.convColumns + 1 }];
    case "compressed":
      return [{ ...layer, windowTokens: Math.max(1, layer.windowTokens - 1) }, buffersOf(layer)];
    default:
      return [layer];
  }
}

/** Keys and values are two tensors even where a model has one for both. */
function slidingCache(layer: Extract<LayerShape, { kind: "sliding" }>, isStatic: boolean): LayerShape {
  const windowTokens = isStatic || layer.windowTokens === 1 ? layer.windowTokens : layer.windowTokens - 1;
  return { ...layer, valueDim: layer.valueDim === 0 ? layer.keyDim : layer.valueDim, windowTokens };
}

/**
 * What a compressor holds at most before it compresses: a value and a gate for every token of the group that is open; where
 * groups overlap, of the group before it too, at twice the width.
 */
function buffersOf({
  index,
  tokensPerEntry,
  entryDim,
  indexerKeyDim,
}: Extract<LayerShape, { kind: "compressed" }>): LayerShape {
  const overlaps = indexerKeyDim > 0;
  const dim = overlaps ? 2 * (entryDim + indexerKeyDim) : entryDim;
  const chunkTokens = Math.max(1, (overlaps ? 2 : 1) * tokensPerEntry - 1);
  // Of a kind that these models do not have, so that no window is taken for a buffer.
  return { kind: "chunked", index, numKvHeads: 1, keyDim: dim, valueDim: dim, chunkTokens };
}

/** Buffers belong to the compressed layers that stand before them, one for one. */
function withBuffers(layers: readonly RuleLayers[]): RuleLayers[] {
  return layers.flatMap((layer, i) => {
    if (layer.kind === "chunked") return [];
    const buffers = layer.kind === "compressed" ? (layers[i + 1]?.bytes ?? 0) : 0;
    return [{ ...layer, bytes: layer.bytes + buffers }];
  });
}

/** Chunks are kept as windows of the same length. */
function slidingOver(layer: Extract<LayerShape, { kind: "chunked" }>, isStatic: boolean): LayerShape {
  const { index, numKvHeads, keyDim, valueDim, chunkTokens } = layer;
  const windowTokens = isStatic ? chunkTokens : Math.max(1, chunkTokens - 1);
  return { kind: "sliding", index, numKvHeads, keyDim, valueDim, windowTokens };
}
