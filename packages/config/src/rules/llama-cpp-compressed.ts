import { exactProduct } from "../exact.ts";
import { rowBytes } from "../format.ts";
import type { LayerGroup } from "../layer-groups.ts";
import type { LayerShape } from "../layer-shape.ts";
import type { LlamaCppCache, LlamaCppPart } from "./llama-cpp-caches.ts";
import { entryCells, type LlamaCppPlan, windowCells } from "./llama-cpp-plan.ts";

/**
 * The caches of DeepSeek-V4: raw entries like a window, compressed entries and indexer keys with a cell per 4 or 128
 * tokens, and what the compressors have not yet compressed. Every sequence has a stream of its own, unified or not.
 */
export function compressedCaches(groups: readonly LayerGroup[], plan: LlamaCppPlan): LlamaCppCache[] {
  const windowTokens = Math.max(0, ...groups.map(({ layer }) => ("windowTokens" in layer ? layer.windowTokens : 0)));
  const rawCells = windowCells({ ...plan, kvUnified: false }, windowTokens);
  return [
    keyCache("swa", groups, plan, rawCells, rawDim),
    keyCache("csa", groups, plan, entryCells(plan, 4), (layer) => entryDim(layer, 4)),
    keyCache("hca", groups, plan, entryCells(plan, 128), (layer) => entryDim(layer, 128)),
    keyCache("indexer", groups, plan, entryCells(plan, 4), indexerDim),
    compressorState({ name: "csa", tokensPerEntry: 4, cells: 8 }, groups, plan, (layer) => 2 * entryDim(layer, 4)),
    compressorState({ name: "hca", tokensPerEntry: 128, cells: 128 }, groups, plan, (layer) => entryDim(layer, 128)),
    compressorState({ name: "lid", tokensPerEntry: 4, cells: 8 }, groups, plan, (layer) => 2 * indexerDim(layer)),
  ];
}

function rawDim(layer: LayerShape): number {
  if (layer.kind === "compressed") return layer.entryDim;
  return layer.kind === "sliding" ? layer.numKvHeads * layer.keyDim : 0;
}

function entryDim(layer: LayerShape, tokensPerEntry: number): number {
  return layer.kind === "compressed" && layer.tokensPerEntry === tokensPerEntry ? layer.entryDim : 0;
}

function indexerDim(layer: LayerShape): number {
  return layer.kind === "compressed" ? layer.indexerKeyDim : 0;
}

/** A cache of keys alone, for the layers of which `dimOf` is not 0. */
function keyCache(
  name: LlamaCppCache["name"],
  groups: readonly LayerGroup[],
  plan: LlamaCppPlan,
  cells: number,
  dimOf: (layer: LayerShape) => number,
): LlamaCppCache {
  const parts = groups.flatMap((group): LlamaCppPart[] => {
    const dim = dimOf(group.layer);
    if (dim === 0) return [];
    const row = rowBytes(plan.cacheTypeK, 1, dim);
    return [{ group, keyBytes: exactProduct("K", row, group.indices.length, cells, plan.parallel), valueBytes: 0 }];
  });
  return { name, cells, streams: plan.parallel, parts };
}

interface Compressor {
  /** The log's. */
  readonly name: "csa" | "hca" | "lid";
  readonly tokensPerEntry: number;
  readonly cells: number;
}

/** A compressor keeps in fp32 what it has not yet compressed, and a score for each value. */
function compressorState(
  { name, tokensPerEntry, cells }: Compressor,
  groups: readonly LayerGroup[],
  plan: LlamaCppPlan,
  dimOf: (layer: LayerShape) => number,
): LlamaCppCache {
  const slots = plan.parallel * (1 + plan.rsSeq);
  const width = Math.max(0, ...groups.map(({ layer }) => dimOf(layer)));
  const parts = groups.flatMap((group): LlamaCppPart[] => {
    const dim = dimOf(group.layer);
    if (dim === 0) return [];
    const bytes = exactProduct("a compressor's state", dim, group.indices.length, cells, 4, slots);
    return [{ group, keyBytes: bytes, valueBytes: bytes }];
  });
  const streams = plan.parallel;
  return { name: `${name}-state`, cells, streams, parts, state: { name, tokensPerEntry, width } };
}
