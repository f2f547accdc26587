import { exactProduct, exactSum } from "../exact.ts";
import { groupLayersByFormat, rowTotal, stateBytes, tokenRow } from "../layer-bytes.ts";
import type { LayerShape } from "../layer-shape.ts";
import type { ModelShape } from "../model-shape.ts";
import { roundUp } from "../stored-tokens.ts";
import type { RuleLayers, RuleRequest } from "./rule.ts";
import { placesOf, sharesOf, type TensorRtLlmPlan, windowsOf } from "./tensorrt-llm-plan.ts";

/** The layers of one window on one rank: they share a pool. */
export interface WindowPool {
  readonly windowTokens: number;
  /** Bytes of one token in all of them. */
  readonly tokenBytes: number;
  /** Places that the sequences need. */
  readonly places: number;
  /** The part of the memory that this pool gets. */
  readonly share: number;
}

/** What one rank keeps. */
export interface RankMemory {
  readonly pools: readonly WindowPool[];
  /** Recurrent state, and the encoder's keys and values, of all sequences. */
  readonly besideBytes: number;
  /** What the pools must be given so that each has enough. */
  readonly poolBytes: number;
  readonly layers: () => readonly RuleLayers[];
}

/** The pools of one rank, the smallest window first. */
export function rankMemory(shape: ModelShape, plan: TensorRtLlmPlan, request: RuleRequest): RankMemory {
  const pools = poolsOf(shape, plan, request);
  const groups = groupLayersByFormat(shape.layers, request.format);
  const beside = groups
    .filter(({ layer }) => isBeside(layer))
    .map(({ layer, indices }) => exactProduct("states", besideBytes(layer, plan, request), indices.length));
  const needs = pools.map(({ tokenBytes, places, share }) => {
    const bytes = exactProduct("a pool", tokenBytes, places);
    // Not divided where there is nothing to share with, so that it stays exact.
    return pools.length === 1 ? bytes : Math.ceil(bytes / share);
  });
  return {
    pools,
    besideBytes: exactSum("states", beside),
    poolBytes: exactSum("a pool", [Math.max(0, ...needs)]),
    layers: () => layersOf(shape, plan, request),
  };
}

function poolsOf({ layers }: ModelShape, plan: TensorRtLlmPlan, { format }: RuleRequest): WindowPool[] {
  const tokenBytes = new Map<number, number>();
  for (const { layer, indices } of groupLayersByFormat(layers, format)) {
    const bytes = isBeside(layer) ? 0 : rowTotal(tokenRow(layer, format));
    for (const [window, count] of bytes === 0 ? [] : windowsOf(indices, plan)) {
      tokenBytes.set(window, (tokenBytes.get(window) ?? 0) + bytes * count);
    }
  }
  const windows = [...tokenBytes.keys()].sort((left, right) => left - right);
  const shares = plan.windowSizeShares.length > 0 && windows.length < 2 ? [1] : sharesOf(windows.length, plan);
  return windows.map((windowTokens, i) => ({
    windowTokens,
    tokenBytes: tokenBytes.get(windowTokens) ?? 0,
    places: placesOf(windowTokens, plan),
    share: shares[i] ?? 1,
  }));
}

/** Cross attention and recurrent state are kept beside the pools of the tokens. */
function isBeside({ kind }: LayerShape): boolean {
  return kind === "state" || kind === "cross";
}

function besideBytes(layer: LayerShape, plan: TensorRtLlmPlan, { format, encoderTokens }: RuleRequest): number {
  if (layer.kind === "state") return exactProduct("states", stateBytes(layer, format), plan.sequences);
  const tokens = layer.kind === "cross" ? (layer.encoderTokens ?? encoderTokens) : 0;
  const places = roundUp(tokens, plan.tokensPerBlock);
  return exactProduct("the encoder", rowTotal(tokenRow(layer, format)), places, plan.sequences);
}

function layersOf(shape: ModelShape, plan: TensorRtLlmPlan, request: RuleRequest): RuleLayers[] {
  return groupLayersByFormat(shape.layers, request.format).map(({ layer, indices }) => {
    const row = rowTotal(tokenRow(layer, request.format));
    const bytes = isBeside(layer)
      ? [exactProduct("states", besideBytes(layer, plan, request), indices.length)]
      : [...windowsOf(indices, plan)].map(([window, count]) =>
          exactProduct("layers", row, placesOf(window, plan), count),
        );
    return { kind: layer.kind, count: indices.length, bytes: exactSum("a kind of layer", bytes) };
  });
}
