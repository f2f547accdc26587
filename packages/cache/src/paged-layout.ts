import { calculateSize, InvalidConfigError, type ModelShape, sizeOf, validateConfig } from "@kv/config";
import type { LayerGroupSpec } from "@kv/paging";
import { type CacheGroup, holdsTokens, type StateBytes, type TokenRow } from "./cache-group.ts";
import { modelGroups } from "./model-groups.ts";
import type { ModelPagedConfig, PagedKVCacheConfig, UniformPagedConfig } from "./paged-config.ts";
import { sharedSizes } from "./shared-sizes.ts";
import { uniformGroups } from "./uniform-groups.ts";

/** Where a layer's tokens, or its states, stand: in which of its group's blocks, and where in them. */
export interface LayerPlace {
  readonly group: number;
  /** Which of the blocks that the group takes for the same tokens. */
  readonly part: number;
  readonly offsetBytes: number;
  /** Which of the buffers. */
  readonly buffer: number;
  readonly holds: TokenRow | StateBytes;
  /** The layer reads what another layer wrote. */
  readonly isShared: boolean;
}

/** One allocation: blocks of one size, for all groups whose blocks are of that size. */
export interface BufferLayout {
  readonly numBlocks: number;
  readonly bytesPerBlock: number;
  /** Number of its first block among all blocks of the cache. */
  readonly firstBlock: number;
  readonly sizeBytes: number;
}

/**
 * How blocks are laid out. A block holds whole layers of one group, one behind the other: `[layer][keys, values][token]
 * [head][element]`, for latent layers `[layer][token][latent, rotary key]`, for states `[layer][convolution, state]`. A group
 * of more layers than a block holds takes several blocks for the same tokens.
 */
export interface PagedLayout {
  readonly tokensPerBlock: number;
  /** Layers of the model: entries of the shape's list, with those that take nothing. */
  readonly numLayers: number;
  /** What all buffers take together. */
  readonly sizeBytes: number;
  readonly buffers: readonly BufferLayout[];
  /** By layer; undefined for layers that hold nothing of their own. */
  readonly places: readonly (LayerPlace | undefined)[];
  readonly groupSpecs: readonly LayerGroupSpec[];
}

/** @throws InvalidConfigError, SizeOverflowError, LayerKindError */
export function pagedLayout(config: PagedKVCacheConfig): PagedLayout {
  return "shape" in config ? modelLayout(config) : uniformLayout(config);
}

function uniformLayout(config: UniformPagedConfig): PagedLayout {
  const { numLayers, numBlocks, tokensPerBlock = 16 } = config;
  const uniform = validateConfig({ ...config, maxContextLength: tokensPerBlock });
  requireCount("numBlocks", numBlocks);
  const groups = uniformGroups(uniform, config.layerGroups);
  const layout = layoutOf(groups, tokensPerBlock, numLayers, () => numBlocks);
  const { bytesPerBlock } = layout.buffers[0] as BufferLayout;
  const layersPerBlock = bytesPerBlock / (groups[0] as CacheGroup).layerBytes;
  // As a contiguous cache of so many tokens would take: the same rule.
  const sizeBytes = calculateSize({
    ...uniform,
    numLayers: layersPerBlock,
    maxContextLength: numBlocks * tokensPerBlock,
  });
  return requirePlanned(layout, sizeBytes);
}

function modelLayout(config: ModelPagedConfig): PagedLayout {
  const { shape, tokens, sequences = 1, tokensPerBlock = 16, format } = config;
  requireCount("tokens", tokens);
  requireCount("sequences", sequences);
  requireCount("tokensPerBlock", tokensPerBlock);
  const planned = sizeOf(shape, { tokens, sequences, tokensPerBlock, ...(format === undefined ? {} : { format }) });
  const groups = modelGroups(config, tokensPerBlock);
  if (groups.length === 0) throw new InvalidConfigError("shape", shape.modelType, "a model with a cache");
  const numBlocksOf = (members: readonly number[], bytesPerBlock: number): number =>
    members.reduce((sum, number) => sum + (groups[number]?.plannedBytes ?? 0), 0) / bytesPerBlock;
  const layout = layoutOf(groups, tokensPerBlock, shape.layers.length, numBlocksOf);
  return requirePlanned({ ...layout, places: withShared(shape, layout.places) }, planned.totalBytes);
}

/** Shared layers stand where the layer stands that they read. */
function withShared({ layers }: ModelShape, places: PagedLayout["places"]): PagedLayout["places"] {
  return layers.map((layer, entry) => {
    if (layer.kind !== "shared") return places[entry];
    const from = places.find(
      (place, i) => layers[i]?.index === layer.readsLayer && place !== undefined && holdsTokens(place.holds),
    );
    return from === undefined ? undefined : { ...from, isShared: true };
  });
}

function layoutOf(
  groups: readonly CacheGroup[],
  tokensPerBlock: number,
  numLayers: number,
  numBlocksOf: (groups: readonly number[], bytesPerBlock: number) => number,
): PagedLayout {
  const places = new Array<LayerPlace | undefined>(numLayers).fill(undefined);
  const groupSpecs: LayerGroupSpec[] = [];
  let firstBlock = 0;
  const buffers = sharedSizes(groups).map(({ bytesPerBlock, groups: members }, buffer) => {
    for (const number of members) {
      const group = groups[number] as CacheGroup;
      groupSpecs[number] = { ...group.spec, ...blocksOf(group, bytesPerBlock), sizeClass: buffer };
      placeLayers(places, group, { group: number, buffer, layersPerBlock: bytesPerBlock / group.layerBytes });
    }
    const numBlocks = numBlocksOf(members, bytesPerBlock);
    firstBlock += numBlocks;
    return { numBlocks, bytesPerBlock, firstBlock: firstBlock - numBlocks, sizeBytes: numBlocks * bytesPerBlock };
  });
  const sizeBytes = buffers.reduce((sum, buffer) => sum + buffer.sizeBytes, 0);
  return { tokensPerBlock, numLayers, sizeBytes, buffers, places, groupSpecs };
}

function blocksOf({ layers, layerBytes }: CacheGroup, bytesPerBlock: number): { blocksPerSpan: number } {
  return { blocksPerSpan: (layers.length * layerBytes) / bytesPerBlock };
}

function placeLayers(
  places: (LayerPlace | undefined)[],
  { layers, layerBytes, holds }: CacheGroup,
  at: { readonly group: number; readonly buffer: number; readonly layersPerBlock: number },
): void {
  const { group, buffer, layersPerBlock } = at;
  layers.forEach((layer, i) => {
    const part = Math.floor(i / layersPerBlock);
    places[layer] = { group, part, offsetBytes: (i % layersPerBlock) * layerBytes, buffer, holds, isShared: false };
  });
}

function requireCount(field: string, value: number): void {
  if (Number.isSafeInteger(value) && value > 0) return;
  throw new InvalidConfigError(field, value, "a whole number of at least 1");
}

/** The layout, if it takes what the plan says, to the byte. */
function requirePlanned(layout: PagedLayout, plannedBytes: number): PagedLayout {
  if (layout.sizeBytes === plannedBytes) return layout;
  throw new Error(
    `the layout takes ${layout.sizeBytes} bytes and not the planned ${plannedBytes}: a defect of @kv/cache`,
  );
}
