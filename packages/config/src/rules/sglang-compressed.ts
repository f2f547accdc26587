import { exactProduct, exactSum } from "../exact.ts";
import { indexerKeyBytes } from "../format.ts";
import { groupLayers } from "../layer-groups.ts";
import type { LayerShape } from "../layer-shape.ts";
import type { ModelShape } from "../model-shape.ts";
import { roundUp } from "../stored-tokens.ts";
import { alignedPageBytes, PACKED_ENTRY_BYTES } from "./deepseek-v4.ts";
import type { RuleFigure, RuleRequest } from "./rule.ts";
import type { SglangPlan } from "./sglang-plan.ts";
import type { SglangPart } from "./sglang-pools.ts";

/** Tokens whose inputs a compressor of 4 tokens keeps for each page of windows: the group that is open, and the one before. */
const RING_OF_4 = 8;
const RING_OF_128 = 128;

/**
 * DeepSeek-V4's pools: a window of packed entries for every layer, entries of 4 and of 128 tokens with their indexer keys, and
 * what the compressors have not yet compressed, in fp32: with each page of windows for 4 tokens, with each request for 128.
 */
export function compressedParts(shape: ModelShape, plan: SglangPlan, request: RuleRequest): SglangPart[] {
  return groupLayers(shape.layers).map(({ layer, indices }) => {
    const bytes = exactSum("a layer", [windowBytes(layer, plan), ...entryParts(layer, plan, request)]);
    const keyBytes = exactProduct("a kind of layer", bytes, indices.length);
    return { pool: "packed", kind: layer.kind, count: indices.length, keyBytes, valueBytes: 0 };
  });
}

/** The page of this pool is a window, whatever the page of the others. */
function windowBytes(layer: LayerShape, { swaTokens }: SglangPlan): number {
  const page = windowPage(layer);
  return pageBytes(pagesOf(swaTokens, page), alignedPageBytes(page * PACKED_ENTRY_BYTES));
}

function windowPage(layer: LayerShape): number {
  return "windowTokens" in layer ? layer.windowTokens : 1;
}

function entryParts(layer: LayerShape, plan: SglangPlan, { format }: RuleRequest): number[] {
  if (layer.kind !== "compressed") return [];
  const { tokensPerEntry, entryDim, indexerKeyDim } = layer;
  const page = plan.pageSize / tokensPerEntry;
  const pages = pagesOf(Math.floor(plan.fullTokens / tokensPerEntry), page);
  const entries = pageBytes(pages, alignedPageBytes(page * PACKED_ENTRY_BYTES));
  if (tokensPerEntry === 128) return [entries, stateBytes(requestRows(plan), 2 * entryDim)];
  const keys = pageBytes(pages, page * indexerKeyBytes(format.indexer, indexerKeyDim));
  return [entries, keys, stateBytes(windowRows(layer, plan), 4 * (entryDim + indexerKeyDim))];
}

/** Keys, and a score for each, in fp32. */
function stateBytes(rows: number, elements: number): number {
  return exactProduct("a compressor's state", rows, elements, 4);
}

function windowRows(layer: LayerShape, { swaTokens }: SglangPlan): number {
  return roundUp(Math.floor(swaTokens / windowPage(layer)) * RING_OF_4 + RING_OF_4 + 1, 4);
}

function requestRows({ maxRunningRequests }: SglangPlan): number {
  return roundUp((maxRunningRequests + 1) * RING_OF_128 + RING_OF_128 + 1, 128);
}

/** One page more than the tokens fill, as everywhere. */
function pagesOf(tokens: number, page: number): number {
  return Math.floor((tokens + page + 1) / page);
}

function pageBytes(pages: number, bytes: number): number {
  return exactProduct("pages", pages, bytes);
}

/** What SGLang reckons a token of the full pool with (`bytes_per_full_token`): no paddings, and nothing of a request's own. */
export function compressedGrowth(shape: ModelShape, plan: SglangPlan, { format }: RuleRequest): number {
  const { swaFullTokensRatio: ratio } = plan;
  return groupLayers(shape.layers).reduce((total, { layer, indices }) => {
    const window = ratio * PACKED_ENTRY_BYTES;
    if (layer.kind !== "compressed") return total + window * indices.length;
    const entry =
      PACKED_ENTRY_BYTES + (layer.tokensPerEntry === 4 ? indexerKeyBytes(format.indexer, layer.indexerKeyDim) : 0);
    const ring = ratio * (RING_OF_4 / layer.windowTokens) * 4 * (layer.entryDim + layer.indexerKeyDim) * 4;
    const state = layer.tokensPerEntry === 4 ? ring : 0;
    return total + (window + entry / layer.tokensPerEntry + state) * indices.length;
  }, 0);
}

/** The pools' sizes as the log prints them. */
export function compressedFigures(shape: ModelShape, plan: SglangPlan, request: RuleRequest): RuleFigure[] {
  const { fullTokens, swaTokens, maxRunningRequests } = plan;
  const window = Math.max(1, ...shape.layers.map(windowPage));
  const rings = Math.floor(swaTokens / window) * RING_OF_4;
  const sizes =
    `full=${fullTokens}, swa=${swaTokens}, c4=${Math.floor(fullTokens / 4)}, c128=${Math.floor(fullTokens / 128)}, ` +
    `c4_state=${rings}, c128_state=${(maxRunningRequests + 1) * RING_OF_128}`;
  return [
    {
      name: "DSV4 memory calculation",
      value: `bytes_per_full_token=${compressedGrowth(shape, plan, request).toFixed(2)}`,
    },
    { name: "DSV4 pool sizes", value: sizes },
  ];
}
