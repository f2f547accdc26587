import { calculateSize, elementBytes, InvalidConfigError, type KvDtype, validateConfig } from "@kv/config";
import type { LayerGroupSpec } from "@kv/paging";

/** Layers that keep the same tokens: all of them, the last `windowTokens`, or those of the current chunk. */
export type LayerGroupConfig = { readonly name: string; readonly layers: readonly number[] } & (
  | { readonly kind: "full" }
  | { readonly kind: "sliding"; readonly windowTokens: number }
  | { readonly kind: "chunked"; readonly chunkTokens: number }
);

/** A cache in blocks, shared by many sequences. */
export interface PagedKVCacheConfig {
  readonly numLayers: number;
  readonly numKvHeads: number;
  /** Elements of one head, the same for keys and values. */
  readonly headDim: number;
  /** `"fp16"` unless given. */
  readonly dtype?: KvDtype;
  readonly numBlocks: number;
  /** 16 unless given. */
  readonly tokensPerBlock?: number;
  /** Which layers keep what. One group of all layers, which keeps every token, unless given. */
  readonly layerGroups?: readonly LayerGroupConfig[];
}

/** Where a layer's keys and values stand: in which of its group's blocks, and where in them. */
export interface LayerPlace {
  readonly group: number;
  /** Which of the blocks that the group takes for the same tokens. */
  readonly part: number;
  readonly offsetBytes: number;
}

/**
 * How blocks are laid out. Every block holds `layersPerBlock` layers of `tokensPerBlock` tokens,
 * `[layer][keys, values][token][head][element]`; a group of more layers takes several blocks for the same tokens.
 */
export interface PagedLayout {
  readonly config: Readonly<Required<PagedKVCacheConfig>>;
  readonly layersPerBlock: number;
  readonly bytesPerToken: number;
  readonly bytesPerBlock: number;
  /** What the pool takes: `numBlocks * bytesPerBlock`. */
  readonly sizeBytes: number;
  readonly places: readonly LayerPlace[];
  readonly groupSpecs: readonly LayerGroupSpec[];
}

/** @throws InvalidConfigError, SizeOverflowError */
export function pagedLayout(given: PagedKVCacheConfig): PagedLayout {
  const { numLayers, numKvHeads, headDim, numBlocks, tokensPerBlock = 16 } = given;
  const uniform = validateConfig({ ...given, maxContextLength: tokensPerBlock });
  if (!Number.isSafeInteger(numBlocks) || numBlocks < 1) {
    throw new InvalidConfigError("numBlocks", numBlocks, "a whole number of at least 1");
  }
  const all: LayerGroupConfig = { name: "all", kind: "full", layers: Array.from({ length: numLayers }, (_, i) => i) };
  const layerGroups = given.layerGroups ?? [all];
  checkGroups(layerGroups, numLayers);
  const layersPerBlock = layerGroups.map((group) => group.layers.length).reduce(greatestCommonDivisor);
  const bytesPerToken = numKvHeads * headDim * elementBytes(uniform.dtype);
  return {
    config: Object.freeze({
      numLayers,
      numKvHeads,
      headDim,
      dtype: uniform.dtype,
      numBlocks,
      tokensPerBlock,
      layerGroups,
    }),
    layersPerBlock,
    bytesPerToken,
    bytesPerBlock: calculateSize({ ...uniform, numLayers: layersPerBlock }),
    // As a contiguous cache of so many tokens would take: the same rule.
    sizeBytes: calculateSize({ ...uniform, numLayers: layersPerBlock, maxContextLength: numBlocks * tokensPerBlock }),
    places: layerPlaces(layerGroups, numLayers, layersPerBlock, 2 * tokensPerBlock * bytesPerToken),
    groupSpecs: layerGroups.map(({ layers, ...spec }) => ({ ...spec, blocksPerSpan: layers.length / layersPerBlock })),
  };
}

function checkGroups(groups: readonly LayerGroupConfig[], numLayers: number): void {
  const layers = groups.flatMap((group) => group.layers);
  const isEach =
    layers.length === numLayers && new Set(layers).size === numLayers && groups.every((each) => each.layers.length > 0);
  if (isEach && layers.every((layer) => Number.isInteger(layer) && layer >= 0 && layer < numLayers)) return;
  throw new InvalidConfigError("layerGroups", layers, `groups that name each layer from 0 to ${numLayers - 1} once`);
}

function layerPlaces(
  groups: readonly LayerGroupConfig[],
  numLayers: number,
  layersPerBlock: number,
  layerBytes: number,
): LayerPlace[] {
  const places = new Array<LayerPlace>(numLayers);
  groups.forEach((group, number) => {
    group.layers.forEach((layer, i) => {
      places[layer] = {
        group: number,
        part: Math.floor(i / layersPerBlock),
        offsetBytes: (i % layersPerBlock) * layerBytes,
      };
    });
  });
  return places;
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
