import { type IndexerType, indexerKeyBytes, type KvFormat } from "../format.ts";
import { groupLayers } from "../layer-groups.ts";
import type { LayerShape } from "../layer-shape.ts";
import type { ModelShape } from "../model-shape.ts";

/**
 * The format with an indexer's keys as serving engines store them, whatever the type of the cache: fp8 with a scale, or mxfp4
 * where the format asks for that; beside grouped-query attention (MiniMax-M3) in the model's own type.
 */
export function withStoredIndexer(shape: ModelShape, format: KvFormat): KvFormat {
  const layer = indexedLayer(shape);
  if (layer === undefined) return format;
  const indexer = storedType(layer, shape, format);
  return indexer === format.indexer ? format : { ...format, indexer };
}

function storedType(layer: LayerShape, shape: ModelShape, { indexer }: KvFormat): IndexerType {
  if (layer.kind === "full") return shape.dtype === "fp32" ? "fp32" : "bf16";
  return indexer === "mxfp4" ? "mxfp4" : "fp8_scaled";
}

/** What a report says of an indexer's keys when the format asks for another type. */
export function indexerAssumption(rule: string, shape: ModelShape, asked: KvFormat): string[] {
  const layer = indexedLayer(shape);
  const stored = withStoredIndexer(shape, asked);
  if (layer === undefined || stored === asked || !("indexerKeyDim" in layer)) return [];
  const bytes = indexerKeyBytes(stored.indexer, layer.indexerKeyDim);
  return [`${rule} stores an indexer's keys as ${stored.indexer}: ${bytes} bytes each, whatever the cache's type`];
}

/** True if the model has latents and an indexer, which choose the engines' kernels. */
export function hasSparseLatents(shape: ModelShape): boolean {
  return indexedLayer(shape)?.kind === "latent";
}

function indexedLayer({ layers }: ModelShape): LayerShape | undefined {
  return groupLayers(layers).find(({ layer }) => "indexerKeyDim" in layer && layer.indexerKeyDim > 0)?.layer;
}

/** Engines that keep an indexer's keys with every latent, used or not. */
export function indexerInEveryLayer(shape: ModelShape): ModelShape {
  const layer = indexedLayer(shape);
  if (layer?.kind !== "latent") return shape;
  const known = filledIn.get(shape.layers);
  if (known !== undefined) return { ...shape, layers: known };
  const layers = shape.layers.map((each): LayerShape => {
    return each.kind === "latent" ? { ...each, indexerKeyDim: layer.indexerKeyDim } : each;
  });
  filledIn.set(shape.layers, layers);
  return { ...shape, layers };
}

/** A plan sizes the same layers many times. */
const filledIn = new WeakMap<readonly LayerShape[], readonly LayerShape[]>();
