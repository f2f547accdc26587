import { type ConfigReader, checkedCount } from "../config-reader.ts";
import type { KeyValueWidths, LayerShape } from "../layer-shape.ts";

/** Layers of the main stack: some converters count those for further tokens in `block_count`. */
export function blockCount(config: ConfigReader): number {
  const all = config.layerCount("block_count");
  const extra = config.extraLayers("nextn_predict_layers");
  return extra < all ? all - extra : config.invalid("nextn_predict_layers", extra, `fewer than block_count, ${all}`);
}

/** A value that is one number for all layers or a list with one per layer; 0 is allowed. */
export function perLayer(config: ConfigReader, key: string, numLayers: number): readonly number[] | undefined {
  const found = config.value(key);
  if (found === undefined) return undefined;
  if (!Array.isArray(found.value)) {
    const value = checkedCount(config.at(key), found.value, undefined, 0);
    return Array.from({ length: numLayers }, () => value);
  }
  const items = config.list(key, numLayers, config.extraLayers("nextn_predict_layers")) ?? [];
  return items.map((item, i) => checkedCount(`${config.at(key)}[${i}]`, item, undefined, 0));
}

/** KV heads of each layer; without the key, every query head has its own. */
export function kvHeads(config: ConfigReader, numLayers: number): readonly number[] {
  const heads =
    perLayer(config, "attention.head_count_kv", numLayers) ?? perLayer(config, "attention.head_count", numLayers);
  return heads ?? config.missing(["attention.head_count"], "a count, or one per layer");
}

/** Head sizes: explicit, or width / heads. */
export function headDims(
  config: ConfigReader,
  numLayers: number,
): { readonly keyDim: number; readonly valueDim: number } {
  const keyDim = config.optionalCount("attention.key_length") ?? dividedWidth(config, numLayers);
  return { keyDim, valueDim: config.optionalCount("attention.value_length") ?? dividedWidth(config, numLayers) };
}

function dividedWidth(config: ConfigReader, numLayers: number): number {
  const width = config.count("embedding_length");
  const heads = perLayer(config, "attention.head_count", numLayers)?.find((count) => count > 0) ?? 0;
  if (heads === 0) return config.missing(["attention.head_count"], "a count, or one per layer");
  if (width % heads !== 0)
    config.invalid("attention.key_length", undefined, `given, for ${heads} heads do not divide ${width}`);
  return width / heads;
}

/** Which layers slide, from a list of true and false, a period, or the architecture's own period. */
export function slidingLayers(
  config: ConfigReader,
  numLayers: number,
  ownPeriod: number | undefined,
): (index: number) => boolean {
  const found = config.value("attention.sliding_window_pattern");
  if (Array.isArray(found?.value)) return listedAsSliding(config, numLayers);
  const period = found === undefined ? ownPeriod : checkedCount(config.at(found.key), found.value);
  if (period === undefined)
    return config.missing(["attention.sliding_window_pattern"], "a period, or true or false per layer");
  return (index) => (index + 1) % period !== 0;
}

function listedAsSliding(config: ConfigReader, numLayers: number): (index: number) => boolean {
  const key = "attention.sliding_window_pattern";
  const slides = config.list(key, numLayers, config.extraLayers("nextn_predict_layers")) ?? [];
  slides.forEach((item, i) => {
    if (typeof item !== "boolean" && item !== 0 && item !== 1) config.invalid(`${key}[${i}]`, item, "true or false");
  });
  return (index) => slides[index] === true || slides[index] === 1;
}

/** A full layer, or none where it has no KV heads. */
export function fullOrNone(index: number, numKvHeads: number, dims: Omit<KeyValueWidths, "numKvHeads">): LayerShape {
  if (numKvHeads === 0) return { kind: "none", index };
  return { kind: "full", index, numKvHeads, ...dims, indexerKeyDim: 0 };
}
