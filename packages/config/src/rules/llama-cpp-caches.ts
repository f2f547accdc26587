import { exactProduct } from "../exact.ts";
import { type KvType, rowBytes } from "../format.ts";
import { groupLayers, type LayerGroup } from "../layer-groups.ts";
import type { LayerShape } from "../layer-shape.ts";
import type { ModelShape } from "../model-shape.ts";
import { compressedCaches } from "./llama-cpp-compressed.ts";
import { type LlamaCppPlan, windowCells } from "./llama-cpp-plan.ts";

/** What layers of one geometry take in a cache, all of them together. */
export interface LlamaCppPart {
  readonly group: LayerGroup;
  /** K; R of recurrent state. */
  readonly keyBytes: number;
  /** V; S of recurrent state. */
  readonly valueBytes: number;
}

/** One cache that llama.cpp makes. */
export interface LlamaCppCache {
  readonly name: "kv" | "swa" | "indexer" | "csa" | "hca" | "csa-state" | "hca-state" | "lid-state" | "recurrent";
  /** Cells of one stream; slots of recurrent state. */
  readonly cells: number;
  readonly streams: number;
  readonly parts: readonly LlamaCppPart[];
  /** A compressor's state, which has a name of its own in the log, and so many values in a cell. */
  readonly state?: { readonly name: string; readonly tokensPerEntry: number; readonly width: number };
}

/** Architectures that llama.cpp loads without their window. */
const WITHOUT_WINDOW: readonly string[] = [
  "mistral",
  "ministral",
  "mixtral",
  "starcoder2",
  "qwen2",
  "qwen2_moe",
  "qwen3",
  "qwen3_moe",
];

/** Latent attention that llama.cpp does not absorb: it computes, and caches, the keys and values of every head. */
const WITHOUT_LATENT: readonly string[] = ["minicpm3", "plm"];

/** True if llama.cpp loads this model without the windows it has. */
export function losesWindow(shape: ModelShape): boolean {
  return (
    WITHOUT_WINDOW.includes(shape.modelType) && groupLayers(shape.layers).some(({ layer }) => layer.kind === "sliding")
  );
}

/** The caches that llama.cpp makes, the empty ones left out. */
export function llamaCppCaches(shape: ModelShape, plan: LlamaCppPlan): LlamaCppCache[] {
  const groups = groupLayers(shape.layers);
  const isCompressed = groups.some(({ layer }) => layer.kind === "compressed");
  const caches = isCompressed ? compressedCaches(groups, plan) : ordinaryCaches(shape, groups, plan);
  return caches.filter(({ parts }) => parts.length > 0);
}

/** A group whose first layer is what llama.cpp makes of it. */
interface Loaded {
  readonly group: LayerGroup;
  readonly layer: LayerShape;
}

function ordinaryCaches(shape: ModelShape, groups: readonly LayerGroup[], plan: LlamaCppPlan): LlamaCppCache[] {
  const ignores = { latent: !plan.mla || WITHOUT_LATENT.includes(shape.modelType), window: losesWindow(shape) };
  const loaded = groups.map((group) => ({ group, layer: asLoaded(group.layer, ignores) }));
  const attention = loaded.filter(({ layer }) => layer.kind === "full" || layer.kind === "latent");
  const windowed = loaded.filter(({ layer }) => layer.kind === "sliding" || layer.kind === "chunked");
  const windowTokens = Math.max(0, ...windowed.map(({ layer }) => windowOf(layer)));
  const widestValues = Math.max(0, ...loaded.map(({ layer }) => valueElements(layer)));
  return [
    attentionCache("kv", attention, plan.seqCells, plan, widestValues),
    attentionCache("swa", windowed, windowCells(plan, windowTokens), plan, widestValues),
    indexerCache(loaded, plan),
    recurrentCache(loaded, plan),
  ];
}

/** What llama.cpp does not know of a model. */
interface Ignored {
  readonly latent: boolean;
  readonly window: boolean;
}

/** The layer as llama.cpp sees it. */
function asLoaded(layer: LayerShape, ignores: Ignored): LayerShape {
  if (layer.kind === "latent" && ignores.latent) {
    return { kind: "full", index: layer.index, indexerKeyDim: layer.indexerKeyDim, ...layer.expanded };
  }
  if (layer.kind !== "sliding" || !ignores.window) return layer;
  const { index, numKvHeads, keyDim, valueDim } = layer;
  return { kind: "full", index, numKvHeads, keyDim, valueDim, indexerKeyDim: 0 };
}

function windowOf(layer: LayerShape): number {
  if (layer.kind === "chunked") return layer.chunkTokens;
  return layer.kind === "sliding" ? layer.windowTokens : 0;
}

/** The values of a latent are a part of its key, with flash attention and without. */
function valueElements(layer: LayerShape): number {
  return "valueDim" in layer ? layer.numKvHeads * layer.valueDim : 0;
}

function attentionCache(
  name: "kv" | "swa",
  loaded: readonly Loaded[],
  cells: number,
  plan: LlamaCppPlan,
  widestValues: number,
): LlamaCppCache {
  const parts = loaded.map(({ group, layer }) => {
    const copies = [group.indices.length, cells, plan.streams];
    return {
      group,
      keyBytes: exactProduct("K", keyRow(layer, plan.cacheTypeK), ...copies),
      valueBytes: exactProduct("V", valueRow(layer, plan, widestValues), ...copies),
    };
  });
  return { name, cells, streams: plan.streams, parts };
}

function keyRow(layer: LayerShape, type: KvType): number {
  if (layer.kind === "latent") return rowBytes(type, 1, layer.latentDim + layer.ropeDim);
  return "keyDim" in layer ? rowBytes(type, layer.numKvHeads, layer.keyDim) : 0;
}

/** Without flash attention V is transposed, and padded to the widest row of any layer. */
function valueRow(layer: LayerShape, plan: LlamaCppPlan, widestValues: number): number {
  const elements = valueElements(layer);
  if (elements === 0) return 0;
  return rowBytes(plan.cacheTypeV, 1, plan.flashAttn ? elements : widestValues);
}

function indexerCache(loaded: readonly Loaded[], plan: LlamaCppPlan): LlamaCppCache {
  const parts = loaded.flatMap(({ group, layer }): LlamaCppPart[] => {
    if (!("indexerKeyDim" in layer) || layer.indexerKeyDim === 0) return [];
    const row = rowBytes(plan.cacheTypeK, 1, layer.indexerKeyDim);
    const keyBytes = exactProduct("K", row, group.indices.length, plan.seqCells, plan.streams);
    return [{ group, keyBytes, valueBytes: 0 }];
  });
  return { name: "indexer", cells: plan.seqCells, streams: plan.streams, parts };
}

/** Recurrent state is fp32 whatever the cache type, once per slot and once more per snapshot. */
function recurrentCache(loaded: readonly Loaded[], plan: LlamaCppPlan): LlamaCppCache {
  const slots = plan.parallel * (1 + plan.rsSeq);
  const parts = loaded.flatMap(({ group, layer }): LlamaCppPart[] => {
    if (layer.kind !== "state") return [];
    const copies = [4, group.indices.length, slots];
    const keyBytes = exactProduct("R", layer.convWidth, layer.convColumns, ...copies);
    return [{ group, keyBytes, valueBytes: exactProduct("S", layer.stateElements, ...copies) }];
  });
  return { name: "recurrent", cells: plan.parallel, streams: plan.parallel, parts };
}
