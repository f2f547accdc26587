import { sizeOf } from "../cache-size.ts";
import { InvalidConfigError, UnsupportedModelError } from "../errors.ts";
import type { LayerShape } from "../layer-shape.ts";
import type { ModelShape } from "../model-shape.ts";
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
  ],
  size,
};

function size(shape: ModelShape, request: RuleRequest): RuleSize {
  const knobs = new Knobs(request.knobs, ["cache", "majorVersion"]);
  const isStatic = knobs.choice("cache", ["dynamic", "static"], "dynamic") === "static";
  const majorVersion = knobs.count("majorVersion", 5);
  if (majorVersion !== 4 && majorVersion !== 5)
    throw new InvalidConfigError("knobs.majorVersion", majorVersion, "4 or 5");
  const layers = shape.layers.map((layer) => asCached(shape, layer, isStatic, majorVersion));
  const { tokens, sequences, encoderTokens, format, sharding } = request;
  const sized = sizeOf({ ...shape, layers }, { tokens, sequences, encoderTokens, format, sharding });
  const layersOf = (): RuleLayers[] =>
    sized.layers.map(({ kind, count, bytes }) => ({ kind, count, bytes: bytes * sequences }));
  return { ...sized, details: () => ({ layers: layersOf(), figures: [], assumptions: [], blocks: null }) };
}

function asCached(shape: ModelShape, layer: LayerShape, isStatic: boolean, majorVersion: number): LayerShape {
  switch (layer.kind) {
    case "latent":
      return majorVersion === 5
        ? layer
        : { kind: "full", index: layer.index, indexerKeyDim: layer.indexerKeyDim, ...layer.expanded };
    case "sliding":
      return isStatic || layer.windowTokens === 1 ? layer : { ...layer, windowTokens: layer.windowTokens - 1 };
    case "chunked":
      return slidingOver(layer, isStatic);
    case "state":
      return layer.convWidth === 0 ? layer : { ...layer, convColumns: layer.convColumns + 1 };
    case "compressed":
      throw new UnsupportedModelError(
        shape.modelType,
        `layers[${layer.index}].kind`,
        layer.kind,
        "a kind that this rule states",
      );
    default:
      return layer;
  }
}

/** Chunks are kept as windows of the same length. */
function slidingOver(layer: Extract<LayerShape, { kind: "chunked" }>, isStatic: boolean): LayerShape {
  const { index, numKvHeads, keyDim, valueDim, chunkTokens } = layer;
  const windowTokens = isStatic ? chunkTokens : Math.max(1, chunkTokens - 1);
  return { kind: "sliding", index, numKvHeads, keyDim, valueDim, windowTokens };
}
