import { elementBytes, InvalidConfigError, type ResolvedKVCacheConfig } from "@kv/config";
import type { CacheGroup } from "./cache-group.ts";
import type { LayerGroupConfig } from "./paged-config.ts";

/** The groups of layers of one width; `maxContextLength` counts the tokens of a block. @throws InvalidConfigError */
export function uniformGroups(
  uniform: ResolvedKVCacheConfig,
  layerGroups: readonly LayerGroupConfig[] | undefined,
): CacheGroup[] {
  const { numLayers, maxContextLength: tokensPerBlock, numKvHeads, headDim, dtype } = uniform;
  const all: LayerGroupConfig = { name: "all", kind: "full", layers: Array.from({ length: numLayers }, (_, i) => i) };
  const groups = layerGroups ?? [all];
  checkGroups(groups, numLayers);
  const layerBytes = 2 * tokensPerBlock * numKvHeads * headDim * elementBytes(dtype);
  const holds = { dtype, numKvHeads, keyDim: headDim, valueDim: headDim, isJoined: false };
  return groups.map(({ layers, ...spec }) => ({ spec, layers, layerBytes, holds }));
}

function checkGroups(groups: readonly LayerGroupConfig[], numLayers: number): void {
  const layers = groups.flatMap((group) => group.layers);
  const isEach =
    layers.length === numLayers && new Set(layers).size === numLayers && groups.every((each) => each.layers.length > 0);
  if (isEach && layers.every((layer) => Number.isInteger(layer) && layer >= 0 && layer < numLayers)) return;
  throw new InvalidConfigError("layerGroups", layers, `groups that name each layer from 0 to ${numLayers - 1} once`);
}
