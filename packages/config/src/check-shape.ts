import { InvalidConfigError } from "./errors.ts";
import { checkCount, isRecord } from "./kv-cache-config.ts";
import { LAYER_KINDS, type LayerShape } from "./layer-shape.ts";
import type { ModelShape } from "./model-shape.ts";

/** Fields that must be counts, by kind: from 1, then from 0. */
const FIELDS: Readonly<Record<LayerShape["kind"], readonly [readonly string[], readonly string[]]>> = {
  full: [
    ["numKvHeads", "keyDim"],
    ["valueDim", "indexerKeyDim"],
  ],
  sliding: [["numKvHeads", "keyDim", "windowTokens"], ["valueDim"]],
  chunked: [["numKvHeads", "keyDim", "chunkTokens"], ["valueDim"]],
  latent: [["latentDim"], ["ropeDim", "indexerKeyDim"]],
  compressed: [["windowTokens", "entryDim", "tokensPerEntry"], ["indexerKeyDim"]],
  shared: [[], ["readsLayer"]],
  cross: [["numKvHeads", "keyDim"], ["valueDim"]],
  state: [[], ["convWidth", "convColumns", "stateElements"]],
  none: [[], []],
};

const checked = new WeakSet<ModelShape>();

/**
 * Checks a shape that may come from anywhere. A shape that passed once is not walked again.
 *
 * @throws InvalidConfigError naming the first field that is wrong
 */
export function checkShape(shape: ModelShape): void {
  if (isRecord(shape) && checked.has(shape)) return;
  if (!isRecord(shape) || !Array.isArray(shape.layers)) {
    throw new InvalidConfigError("shape", shape, "a model shape, as fromHuggingFace and fromGguf give");
  }
  shape.layers.forEach(checkLayer);
  if (shape.encoderLayers !== undefined) checkCount("shape.encoderLayers", shape.encoderLayers, 0);
  checked.add(shape);
}

/** Takes a shape as checked: its maker checked every value that went into it. */
export function trustShape(shape: ModelShape): ModelShape {
  checked.add(shape);
  return shape;
}

function checkLayer(layer: LayerShape, i: number): void {
  const path = `shape.layers[${i}]`;
  if (!isRecord(layer) || !LAYER_KINDS.includes(layer.kind)) {
    throw new InvalidConfigError(
      `${path}.kind`,
      isRecord(layer) ? layer.kind : layer,
      `one of ${LAYER_KINDS.join(", ")}`,
    );
  }
  const [counts, sizes] = FIELDS[layer.kind];
  checkField(layer, path, "index", 0);
  for (const field of counts) checkField(layer, path, field, 1);
  for (const field of sizes) checkField(layer, path, field, 0);
}

function checkField(layer: LayerShape, path: string, field: string, least: number): void {
  const value = (layer as unknown as Readonly<Record<string, unknown>>)[field];
  if (Number.isSafeInteger(value) && (value as number) >= least) return;
  throw new InvalidConfigError(`${path}.${field}`, value, `a whole number from ${least}`);
}
