import type { LayerShape, ModelShape } from "@kv/config";

/**
 * A model whose one token is as large as `tokensPerBlock` of the given one's: a block of it holds the same bytes in the same
 * order. A replay by block numbers has one such token in each block.
 */
export function widened(shape: ModelShape, tokensPerBlock: number): ModelShape {
  return { ...shape, layers: shape.layers.map((layer) => widenedLayer(layer, tokensPerBlock)) };
}

function widenedLayer(layer: LayerShape, factor: number): LayerShape {
  if (layer.kind === "full") return { ...layer, numKvHeads: layer.numKvHeads * factor };
  if (layer.kind !== "latent") return layer;
  return { ...layer, latentDim: layer.latentDim * factor, ropeDim: layer.ropeDim * factor };
}
