import { elementBytes, type KvDtype } from "../dtype.ts";
import { InvalidConfigError } from "../errors.ts";
import { exactProduct } from "../exact.ts";
import type { KvFormat } from "../format.ts";
import { groupLayersByFormat, rowTotal, tokenRow } from "../layer-bytes.ts";
import type { LayerGroup } from "../layer-groups.ts";
import type { LayerShape, StateLayer } from "../layer-shape.ts";
import type { ModelShape } from "../model-shape.ts";
import { layerOfRank } from "../sharding.ts";
import { inFlightTokens, type VllmKnobs } from "./vllm-knobs.ts";

/** What vLLM needs to know of caches of one geometry: bytes of a page, and pages that one request holds at most. */
export interface VllmSpec {
  /** One of the layers, as a rank holds it. */
  readonly layer: LayerShape;
  readonly indices: readonly number[];
  /** Layers whose requests need the same pages: they can share a group. */
  readonly type: string;
  /** Infinity for states, whose page is for a whole request. */
  readonly tokensPerPage: number;
  readonly pageBytes: number;
  /** Pages that one request of `maxModelLen` tokens holds at most. */
  readonly pagesPerRequest: PagesPerRequest;
}

/** Pages that one request holds at most. A layout is the same for every length, so this is all that asks for it. */
export type PagesPerRequest = (tokensPerPage: number, maxModelLen: number) => number;

/** The knobs that pages and groups depend on. */
export type LayoutKnobs = Omit<VllmKnobs, "maxModelLen" | "kvCacheMemoryBytes">;

/** The caches of one tensor-parallel rank. Sparse indexers are caches of their own. */
export function vllmSpecs(shape: ModelShape, format: KvFormat, knobs: LayoutKnobs): VllmSpec[] {
  const groups = groupLayersByFormat(shape.layers, format).map(({ layer, indices }) => {
    return { layer: layerOnRank(layer, knobs.tensorParallelSize), indices };
  });
  const statePage = groups.reduce((most, { layer }) => Math.max(most, statePageBytes(shape, layer, format, knobs)), 0);
  const block = blockSize(groups, statePage, format, knobs);
  const attention = groups.flatMap((group) => attentionSpecs(group, format, knobs, block));
  // Beside attention a state's page is padded to the attention's page; alone it stays as it is.
  const padded = Math.max(statePage, ...attention.map(({ pageBytes }) => pageBytes));
  return [...attention, ...groups.flatMap((group) => stateSpecs(group, padded, knobs))];
}

/** KV heads per rank: at least one, and vLLM takes only sizes that divide the heads or are divided by them. */
function layerOnRank(layer: LayerShape, ranks: number): LayerShape {
  if ("numKvHeads" in layer && layer.numKvHeads % ranks !== 0 && ranks % layer.numKvHeads !== 0) {
    const allowed = `a size that divides the ${layer.numKvHeads} KV heads of layer ${layer.index}, or a multiple of them`;
    throw new InvalidConfigError("sharding.tensor", ranks, allowed);
  }
  return layerOfRank(layer, ranks);
}

/**
 * Tokens of an attention block. Beside recurrent layers it is raised until an attention page is at least as large as a
 * page of state.
 */
function blockSize(groups: readonly LayerGroup[], statePage: number, format: KvFormat, knobs: LayoutKnobs): number {
  const attention = groups.find(({ layer }) => layer.kind === "latent" || "numKvHeads" in layer);
  if (statePage === 0 || attention === undefined) return knobs.blockSize;
  const align = attention.layer.kind === "latent" ? 128 : 16;
  const tokenBytes = rowTotal(tokenRow(attention.layer, format));
  return Math.max(knobs.blockSize, align * Math.ceil(statePage / (align * tokenBytes)));
}

/** A page of state: the convolution's columns, with those for speculated tokens, and the state itself. */
function statePageBytes(shape: ModelShape, layer: LayerShape, format: KvFormat, knobs: LayoutKnobs): number {
  if (layer.kind !== "state") return 0;
  const columns = layer.convWidth === 0 ? 0 : layer.convColumns + knobs.numSpeculativeTokens;
  const conv = layer.convWidth * columns * elementBytes(modelDtype(shape));
  return conv + layer.stateElements * elementBytes(stateDtype(shape, layer, format, knobs));
}

function modelDtype(shape: ModelShape): KvDtype {
  return shape.dtype === "fp32" ? "fp32" : "bf16";
}

/** Models whose state vLLM keeps in fp32 unless their file says otherwise (`NemotronHForCausalLMConfig`). */
const NEEDING_PRECISION: readonly string[] = ["nemotron_h", "nemotron_h_moe", "nemotron_h_puzzle"];

/** `--mamba-ssm-cache-dtype`: the model's wish, or fp32 where the kernels need it, or the model's own dtype. */
function stateDtype(shape: ModelShape, layer: StateLayer, format: KvFormat, knobs: LayoutKnobs): KvDtype {
  if (knobs.mambaSsmCacheDtype === "format") return format.state;
  if (knobs.mambaSsmCacheDtype !== "auto") return knobs.mambaSsmCacheDtype;
  if (shape.stateDtype !== null) return shape.stateDtype;
  const needsPrecision = layer.mechanism === "kimi-delta" || NEEDING_PRECISION.includes(shape.modelType);
  return needsPrecision ? "fp32" : modelDtype(shape);
}

function stateSpecs({ layer, indices }: LayerGroup, pageBytes: number, knobs: LayoutKnobs): VllmSpec[] {
  if (layer.kind !== "state") return [];
  const pages = { none: 1, align: 2 }[knobs.mambaCacheMode] + knobs.numSpeculativeTokens;
  const type = `state ${layer.mechanism} ${layer.convWidth} ${layer.stateElements}`;
  return [{ layer, indices, type, tokensPerPage: Number.POSITIVE_INFINITY, pageBytes, pagesPerRequest: () => pages }];
}

function attentionSpecs(
  { layer, indices }: LayerGroup,
  format: KvFormat,
  knobs: LayoutKnobs,
  block: number,
): VllmSpec[] {
  if (layer.kind === "state" || layer.kind === "none" || layer.kind === "shared") return [];
  const { keyBytes, valueBytes, indexerBytes } = tokenRow(layer, format);
  const reach = reachOf(layer, knobs);
  const rows = indexerBytes > 0 ? [keyBytes + valueBytes, indexerBytes] : [keyBytes + valueBytes];
  return rows.map((tokenBytes) => {
    return { layer, indices, ...reach, tokensPerPage: block, pageBytes: exactProduct("a page", tokenBytes, block) };
  });
}

type Reach = Pick<VllmSpec, "type" | "pagesPerRequest">;

function reachOf(layer: LayerShape, knobs: LayoutKnobs): Reach {
  const inFlight = inFlightTokens(knobs);
  const capped =
    (tokens: number, extra: number): PagesPerRequest =>
    (page, maxModelLen) =>
      Math.ceil(Math.min(tokens, maxModelLen) / page) + extra;
  if (layer.kind === "cross") {
    const tokens = layer.encoderTokens ?? knobs.encoderTokens;
    return { type: "cross", pagesPerRequest: (page) => Math.ceil(tokens / page) };
  }
  if (knobs.disableHybridKvCacheManager) return everyToken(knobs);
  if (layer.kind === "sliding") {
    const window = layer.windowTokens;
    // One page more, because a window seldom starts on the edge of a page.
    return { type: `sliding ${window}`, pagesPerRequest: capped(window - 1 + inFlight, 1) };
  }
  if (layer.kind === "chunked") {
    const chunk = layer.chunkTokens;
    return { type: `chunked ${chunk}`, pagesPerRequest: capped(chunk + inFlight, 0) };
  }
  return everyToken(knobs);
}

function everyToken({ decodeContextParallelSize }: LayoutKnobs): Reach {
  const pagesPerRequest: PagesPerRequest = (page, maxModelLen) =>
    Math.ceil(Math.ceil(maxModelLen / decodeContextParallelSize) / page);
  return { type: "full", pagesPerRequest };
}
