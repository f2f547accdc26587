import type { ConfigReader } from "../config-reader.ts";
import type { ChunkedLayer, FullLayer, KeyValueWidths, LayerShape, SlidingLayer } from "../layer-shape.ts";

/** Keys that say how many layers the main stack has. */
export const LAYER_KEYS = ["num_hidden_layers", "n_layer", "n_layers", "num_layers"] as const;
const HEAD_KEYS = ["num_attention_heads", "n_head", "n_heads", "num_heads"] as const;
const WIDTH_KEYS = ["hidden_size", "n_embd", "n_embed", "d_model", "model_dim"] as const;
const KV_HEAD_KEYS = ["num_key_value_heads"] as const;

export function numLayersOf(config: ConfigReader): number {
  return config.layerCount(...LAYER_KEYS);
}

export function numQueryHeadsOf(config: ConfigReader): number {
  return config.count(...HEAD_KEYS);
}

export function hiddenWidthOf(config: ConfigReader): number {
  return config.count(...WIDTH_KEYS);
}

/** The explicit head size, or hidden width / heads where the file gives none. */
export function headDimOf(config: ConfigReader, ...keys: readonly string[]): number {
  const explicit = config.optionalCount(...(keys.length > 0 ? keys : ["head_dim"]));
  if (explicit !== undefined) return explicit;
  const heads = numQueryHeadsOf(config);
  const width = hiddenWidthOf(config);
  if (width % heads !== 0)
    config.invalid("head_dim", undefined, `given, for ${heads} heads do not divide a width of ${width}`);
  return width / heads;
}

/** KV heads under `keys`; without them every query head has its own, which is noted. */
export function numKvHeadsOf(config: ConfigReader, ...keys: readonly string[]): number {
  const heads = numQueryHeadsOf(config);
  const names = keys.length > 0 ? keys : KV_HEAD_KEYS;
  const found = config.value(...names);
  if (found === undefined) {
    config.assume(`${config.at(names.join(" or "))} is missing: one KV head per query head, ${heads}`);
    return heads;
  }
  return dividingHeads(config, found.key, found.value, heads);
}

/** KV heads must share out the query heads evenly. */
export function dividingHeads(config: ConfigReader, key: string, value: unknown, heads: number): number {
  if (Number.isSafeInteger(value) && (value as number) >= 1 && heads % (value as number) === 0) return value as number;
  return config.invalid(key, value, `a whole number that divides the ${heads} query heads`);
}

/** One width for keys and values. */
export function widthsOf(config: ConfigReader): KeyValueWidths {
  const keyDim = headDimOf(config);
  return { numKvHeads: numKvHeadsOf(config), keyDim, valueDim: keyDim };
}

export function widths(numKvHeads: number, keyDim: number, valueDim: number = keyDim): KeyValueWidths {
  return { numKvHeads, keyDim, valueDim };
}

export function full(index: number, { numKvHeads, keyDim, valueDim }: KeyValueWidths, indexerKeyDim = 0): FullLayer {
  return { kind: "full", index, numKvHeads, keyDim, valueDim, indexerKeyDim };
}

export function sliding(
  index: number,
  { numKvHeads, keyDim, valueDim }: KeyValueWidths,
  windowTokens: number,
): SlidingLayer {
  return { kind: "sliding", index, numKvHeads, keyDim, valueDim, windowTokens };
}

export function chunked(
  index: number,
  { numKvHeads, keyDim, valueDim }: KeyValueWidths,
  chunkTokens: number,
): ChunkedLayer {
  return { kind: "chunked", index, numKvHeads, keyDim, valueDim, chunkTokens };
}

/** `count` layers, each made by `layer`. */
export function layers(count: number, layer: (index: number) => LayerShape): LayerShape[] {
  // A loop takes a fifth of the time of Array.from, which is most of what reading a plain model takes.
  const made: LayerShape[] = [];
  for (let index = 0; index < count; index += 1) made.push(layer(index));
  return made;
}
