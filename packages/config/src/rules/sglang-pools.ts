import { exactProduct } from "../exact.ts";
import { groupLayersByFormat, rowTotal, stateBytes, tokenRow } from "../layer-bytes.ts";
import type { LayerGroup } from "../layer-groups.ts";
import type { LayerKind, LayerShape } from "../layer-shape.ts";
import type { ModelShape } from "../model-shape.ts";
import type { RuleRequest } from "./rule.ts";
import type { SglangPlan } from "./sglang-plan.ts";

/** What layers of one geometry take on one rank, all of them together. */
export interface SglangPart {
  readonly pool: "full" | "swa" | "state" | "packed";
  readonly kind: LayerKind;
  readonly count: number;
  /** Keys, latents and indexer keys; states. */
  readonly keyBytes: number;
  readonly valueBytes: number;
}

/** The parts of one rank's pools; every pool has a page more than its tokens need. */
export function pooledParts(shape: ModelShape, plan: SglangPlan, request: RuleRequest): SglangPart[] {
  const groups = groupLayersByFormat(shape.layers, request.format);
  return [...groups.map((group) => partOf(group, plan, request)), ...encoderParts(shape, plan, request)];
}

function partOf({ layer, indices }: LayerGroup, plan: SglangPlan, request: RuleRequest): SglangPart {
  const count = indices.length;
  if (layer.kind === "state") {
    // One more than asked for, which is never used.
    const keyBytes = exactProduct("states", stateBytes(layer, request.format), plan.maxMambaCacheSize + 1, count);
    return { pool: "state", kind: layer.kind, count, keyBytes, valueBytes: 0 };
  }
  const pool = poolOf(layer, plan);
  const slots = (pool === "swa" ? plan.swaTokens : plan.fullTokens) + plan.pageSize;
  const { keyBytes, valueBytes, indexerBytes } = tokenRow(layer, request.format);
  return {
    pool,
    kind: layer.kind,
    count,
    keyBytes: exactProduct("K", keyBytes + indexerBytes, slots, count),
    valueBytes: exactProduct("V", valueBytes, slots, count),
  };
}

function poolOf(layer: LayerShape, { hasWindowPool }: SglangPlan): "full" | "swa" {
  return hasWindowPool && (layer.kind === "sliding" || layer.kind === "chunked") ? "swa" : "full";
}

/** Whisper's encoder keeps nothing, yet its layers come first in the numbering by which rows are set aside. */
function encoderParts({ layers, encoderLayers = 0 }: ModelShape, plan: SglangPlan, request: RuleRequest): SglangPart[] {
  const model = layers.find((layer) => layer.kind === "full");
  if (encoderLayers === 0 || model === undefined) return [];
  return [
    {
      ...partOf({ layer: model, indices: Array.from({ length: encoderLayers }, () => 0) }, plan, request),
      kind: "none",
    },
  ];
}

/** What one more token of the pool of full layers adds on one rank. */
export function pooledGrowth(shape: ModelShape, plan: SglangPlan, { format }: RuleRequest): number {
  const rows = groupLayersByFormat(shape.layers, format).map(({ layer, indices }) => {
    const share = poolOf(layer, plan) === "swa" ? plan.swaFullTokensRatio : 1;
    return rowTotal(tokenRow(layer, format)) * indices.length * share;
  });
  const model = shape.layers.find((layer) => layer.kind === "full");
  const encoder = model === undefined ? 0 : rowTotal(tokenRow(model, format)) * (shape.encoderLayers ?? 0);
  return rows.reduce((total, bytes) => total + bytes, encoder);
}
