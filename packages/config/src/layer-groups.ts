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

interface Group extends LayerGroup {
  readonly geometry: Geometry;
  readonly indices: number[];
}

function grouped(layers: readonly LayerShape[], apart: (layer: LayerShape) => string): LayerGroup[] {
  const groups = new Map<string, Group>();
  // Mostly a layer is like the one of its kind before it: then no key has to be made.
  const latest = new Map<string, Group>();
  for (const layer of layers) {
    const geometry = geometryOf(layer, apart(layer));
    let group = latest.get(layer.kind);
    if (group === undefined || !isSame(group.geometry, geometry)) {
      const key = geometry.join(" ");
      group = groups.get(key) ?? { layer, geometry, indices: [] };
      groups.set(key, group);
      latest.set(layer.kind, group);
    }
    group.indices.push(layer.index);
  }
  return [...groups.values()].map(({ layer, indices }) => ({ layer, indices }));
}

type Geometry = readonly (string | number | null)[];

function isSame(left: Geometry, right: Geometry): boolean {
  return left.length === right.length && left.every((part, i) => part === right[i]);
}

function geometryOf(layer: LayerShape, apart: string): Geometry {
  switch (layer.kind) {
    case "full":
      return ["full", layer.numKvHeads, layer.keyDim, layer.valueDim, layer.indexerKeyDim, apart];
    case "sliding":
      return ["sliding", layer.numKvHeads, layer.keyDim, layer.valueDim, layer.windowTokens, apart];
    case "chunked":
      return ["chunked", layer.numKvHeads, layer.keyDim, layer.valueDim, layer.chunkTokens, apart];
    case "cross":
      return ["cross", layer.numKvHeads, layer.keyDim, layer.valueDim, layer.encoderTokens, apart];
    case "latent":
      return ["latent", layer.latentDim, layer.ropeDim, layer.indexerKeyDim, apart];
    case "compressed":
      return ["compressed", layer.entryDim, layer.tokensPerEntry, layer.windowTokens, layer.indexerKeyDim, apart];
    case "state":
      return ["state", layer.mechanism, layer.convWidth, layer.convColumns, layer.stateElements, apart];
    default:
      return [layer.kind, apart];
  }
}
