import { bytesPerToken, calculateSize, elementBytes, layerStrideBytes, type ResolvedKVCacheConfig } from "@kv/config";
import type { UniformModel } from "../models/uniform-model.ts";
import { formatCount } from "../units.ts";

/** What will be allocated, computed before anything is. */
export interface Plan {
  readonly model: UniformModel;
  /** Whose arithmetic it is: our own allocator's, to the byte. */
  readonly rule: "exact";
  /** The product with its numbers, without the result. */
  readonly formula: string;
  readonly totalBytes: number;
  readonly layerStrideBytes: number;
  readonly bytesPerToken: number;
}

/** @throws SizeOverflowError */
export function planCache(model: UniformModel): Plan {
  const { config } = model;
  return {
    model,
    rule: "exact",
    formula: formulaOf(config),
    totalBytes: calculateSize(config),
    layerStrideBytes: layerStrideBytes(config),
    bytesPerToken: bytesPerToken(config),
  };
}

function formulaOf({ numLayers, maxContextLength, numKvHeads, headDim, dtype }: ResolvedKVCacheConfig): string {
  return [
    "2 (keys and values)",
    `${formatCount(numLayers)} layers`,
    `${formatCount(maxContextLength)} tokens`,
    `${formatCount(numKvHeads)} KV heads`,
    `${formatCount(headDim)} elements`,
    `${elementBytes(dtype)} bytes (${dtype})`,
  ].join(" × ");
}
