import type { KvDtype } from "./dtype.ts";
import { UnsupportedModelError } from "./errors.ts";
import { type KVCacheConfig, validateConfig } from "./kv-cache-config.ts";
import type { FullLayer } from "./layer-shape.ts";
import type { ModelShape } from "./model-shape.ts";

/**
 * The four numbers of a model whose layers are all full attention of one width.
 *
 * @throws UnsupportedModelError naming the first layer that is of another kind or width
 */
export function uniformFullAttention(shape: ModelShape, maxContextLength: number, dtype?: KvDtype): KVCacheConfig {
  const [first] = shape.layers;
  if (first === undefined) throw new UnsupportedModelError(shape.modelType, "layers", shape.layers, "at least one");
  shape.layers.forEach((layer, i) => {
    const path = `layers[${i}]`;
    if (layer.kind !== "full")
      throw new UnsupportedModelError(shape.modelType, `${path}.kind`, layer.kind, "full attention");
    refuseOther(shape.modelType, path, layer, first as FullLayer);
  });
  const { numKvHeads, keyDim } = first as FullLayer;
  const config = { numLayers: shape.layers.length, maxContextLength, numKvHeads, headDim: keyDim };
  return validateConfig(dtype === undefined ? config : { ...config, dtype });
}

function refuseOther(modelType: string, path: string, layer: FullLayer, first: FullLayer): void {
  const expected: Readonly<Record<string, number>> = {
    numKvHeads: first.numKvHeads,
    keyDim: first.keyDim,
    valueDim: first.keyDim,
    indexerKeyDim: 0,
  };
  for (const [field, value] of Object.entries(expected)) {
    const own = layer[field as keyof FullLayer];
    if (own !== value)
      throw new UnsupportedModelError(modelType, `${path}.${field}`, own, `${value}, as the first layer has`);
  }
}
