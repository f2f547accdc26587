import type { LayerShape } from "./layer-shape.ts";

/** Layers that hold the same, in the order of their first. */
export interface LayerGroup {
  /** The first of them; the others differ in `index` only (and in `readsLayer`, for shared layers). */
  readonly layer: LayerShape;
  readonly indices: readonly number[];
}

/**
 * Layers of equal kind and geometry together. `apart` may add what else keeps two layers apart, such as a format.
 */
export function groupLayers(
  layers: readonly LayerShape[],
  apart?: (layer: LayerShape) => string,
): readonly LayerGroup[] {
  if (apart !== undefined) return grouped(layers, apart);
  const known = groupsOf.get(layers);
  if (known !== undefined) return known;
  const groups = grouped(layers, () => "");
  groupsOf.set(layers, groups);
  return groups;
}

/** A plan sizes the same layers many times: their groups are found once. */
const groupsOf = new WeakMap<readonly LayerShape[], readonly LayerGroup[]>();

function grouped(layers: readonly LayerShape[], apart: (layer: LayerShape) => string): LayerGroup[] {
  const groups = new Map<string, { layer: LayerShape; indices: number[] }>();
  for (const layer of layers) {
    const key = geometryKey(layer) + apart(layer);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { layer, indices: [layer.index] });
    else group.indices.push(layer.index);
  }
  return [...groups.values()];
}

function geometryKey(layer: LayerShape): string {
  switch (layer.kind) {
    case "full":
      return `full ${layer.numKvHeads} ${layer.keyDim} ${layer.valueDim} ${layer.indexerKeyDim}`;
    case "sliding":
      return `sliding ${layer.numKvHeads} ${layer.keyDim} ${layer.valueDim} ${layer.windowTokens}`;
    case "chunked":
      return `chunked ${layer.numKvHeads} ${layer.keyDim} ${layer.valueDim} ${layer.chunkTokens}`;
    case "cross":
      return `cross ${layer.numKvHeads} ${layer.keyDim} ${layer.valueDim} ${layer.encoderTokens}`;
    case "latent":
      return `latent ${layer.latentDim} ${layer.ropeDim} ${layer.indexerKeyDim}`;
    case "compressed":
      return `compressed ${layer.entryDim} ${layer.tokensPerEntry} ${layer.windowTokens} ${layer.indexerKeyDim}`;
    case "state":
      return `state ${layer.mechanism} ${layer.convWidth} ${layer.convColumns} ${layer.stateElements}`;
    default:
      return layer.kind;
  }
}
