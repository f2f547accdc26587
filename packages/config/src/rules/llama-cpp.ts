import { InvalidConfigError, NotRunByEngineError } from "../errors.ts";
import { exactSum } from "../exact.ts";
import { groupLayers } from "../layer-groups.ts";
import type { ModelShape } from "../model-shape.ts";
import { type LlamaCppCache, llamaCppCaches, losesWindow } from "./llama-cpp-caches.ts";
import { figuresOf } from "./llama-cpp-figures.ts";
import { llamaCppPlan } from "./llama-cpp-plan.ts";
import type { Rule, RuleLayers, RuleRequest, RuleSize } from "./rule.ts";

/**
 * llama.cpp, all its devices together. Knobs, named as its flags are: `ctxSize`, `parallel`, `kvUnified`, `batchSize`,
 * `ubatchSize`, `swaFull`, `flashAttn`, `rsSeq`, `mla`; the cache types are the format's.
 *
 * It runs T5 of the models with an encoder, and caches nothing for cross attention, which it computes from the encoder's
 * output at every step. The others are a `NotRunByEngineError`.
 */
export const llamaCppRule: Rule = {
  name: "llama.cpp",
  version: "builds of July to September 2026 (b10107 and around)",
  documentation: [
    "https://github.com/ggml-org/llama.cpp/blob/master/src/llama-context.cpp",
    "https://github.com/ggml-org/llama.cpp/blob/master/src/llama-kv-cache-iswa.cpp",
    "https://github.com/ggml-org/llama.cpp/blob/master/src/llama-memory-recurrent.cpp",
    "https://github.com/ggml-org/llama.cpp/pull/13194",
    "https://github.com/ggml-org/llama.cpp/issues/17037",
    "https://github.com/unslothai/unsloth/pull/7530",
    "https://github.com/ggml-org/llama.cpp/pull/19067",
    "https://github.com/ggml-org/llama.cpp/pull/26474",
    "https://github.com/ggml-org/llama.cpp/blob/master/src/models/minicpm3.cpp",
    "https://github.com/ggml-org/llama.cpp/blob/master/src/models/t5.cpp",
  ],
  size,
};

function size(shape: ModelShape, request: RuleRequest): RuleSize {
  refuseSharding(request);
  refuseOtherEncoders(shape);
  const plan = llamaCppPlan(request);
  const caches = llamaCppCaches(shape, plan);
  const totalBytes = exactSum(
    "the caches",
    caches.flatMap(({ parts }) => parts.map(partBytes)),
  );
  return {
    totalBytes,
    bytesPerSequence: totalBytes / plan.parallel,
    bytesPerToken: growthBytes(shape, caches),
    largestDeviceBytes: totalBytes,
    numDevices: 1,
    details: () => ({
      layers: layersOf(shape, caches),
      figures: figuresOf(shape, caches, plan, request.format),
      assumptions: assumptionsOf(shape),
      blocks: null,
    }),
  };
}

/** Models with cross attention that have an architecture in llama.cpp (`t5`). */
const CROSS_ATTENDING: readonly string[] = ["t5", "mt5", "umt5"];

function refuseOtherEncoders(shape: ModelShape): void {
  const cross = groupLayers(shape.layers).find(({ layer }) => layer.kind === "cross");
  if (cross === undefined || CROSS_ATTENDING.includes(shape.modelType)) return;
  const reason = "of models with an encoder it has an architecture for T5 only";
  throw new NotRunByEngineError("llama.cpp", llamaCppRule.version, shape.modelType, cross.layer, reason);
}

function assumptionsOf(shape: ModelShape): string[] {
  const crosses = groupLayers(shape.layers).some(({ layer }) => layer.kind === "cross");
  return [
    ...(losesWindow(shape) ? ["llama.cpp loads this architecture without its window"] : []),
    ...(crosses ? ["llama.cpp caches no cross attention: it computes it from the encoder's output at every step"] : []),
  ];
}

function refuseSharding({ sharding }: RuleRequest): void {
  for (const [field, value] of Object.entries(sharding)) {
    if (value !== 1)
      throw new InvalidConfigError(`sharding.${field}`, value, "1: llama.cpp counts all its devices together");
  }
}

function partBytes({ keyBytes, valueBytes }: { readonly keyBytes: number; readonly valueBytes: number }): number {
  return keyBytes + valueBytes;
}

/** What grows with the context: the caches that have a cell for every token or for every few. */
function growthBytes(shape: ModelShape, caches: readonly LlamaCppCache[]): number {
  const isCompressed = groupLayers(shape.layers).some(({ layer }) => layer.kind === "compressed");
  const tokensPerCell: Readonly<Record<string, number>> = isCompressed
    ? { csa: 4, hca: 128, indexer: 4 }
    : { kv: 1, indexer: 1 };
  return caches.reduce((total, { name, cells, streams, parts }) => {
    const tokens = tokensPerCell[name];
    const cellBytes = parts.reduce((bytes, part) => bytes + partBytes(part), 0) / (cells * streams);
    return tokens === undefined ? total : total + cellBytes / tokens;
  }, 0);
}

/** Each kind of layer with its parts of all caches. */
function layersOf(shape: ModelShape, caches: readonly LlamaCppCache[]): RuleLayers[] {
  const parts = caches.flatMap((cache) => cache.parts);
  return groupLayers(shape.layers).map((group) => {
    const own = parts.filter((part) => part.group === group);
    const bytes = own.reduce((total, part) => total + partBytes(part), 0);
    return { kind: group.layer.kind, count: group.indices.length, bytes };
  });
}
