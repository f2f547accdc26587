import { NotRunByEngineError } from "../errors.ts";
import { exactProduct, exactSum } from "../exact.ts";
import { groupLayers } from "../layer-groups.ts";
import type { LayerShape } from "../layer-shape.ts";
import type { ModelShape } from "../model-shape.ts";
import { rankShapes } from "../sharding.ts";
import { indexerAssumption, indexerInEveryLayer, withStoredIndexer } from "./indexer.ts";
import type { Rule, RuleBlocks, RuleFigure, RuleLayers, RuleRequest, RuleSize } from "./rule.ts";
import { type TensorRtLlmPlan, tensorRtLlmPlan } from "./tensorrt-llm-plan.ts";
import { type RankMemory, rankMemory } from "./tensorrt-llm-pools.ts";

/**
 * TensorRT-LLM: paged blocks for every layer. Knobs, named as its settings are: `tokensPerBlock`, `maxTokens`,
 * `maxAttentionWindow`, `windowSizeShares`, `maxGpuTotalBytes`, `mambaSsmCacheDtype`.
 *
 * Windows are kept in full unless `maxAttentionWindow` says how long they are; then the layers of each window have a pool of
 * their own, and the memory is split among the pools by fixed shares.
 */
export const tensorRtLlmRule: Rule = {
  name: "tensorrt-llm",
  version: "0.8 to 1.2; pools of windows as since 1.1",
  documentation: [
    "https://github.com/NVIDIA/TensorRT-LLM/blob/main/docs/source/legacy/advanced/kv-cache-management.md",
    "https://nvidia.github.io/TensorRT-LLM/latest/features/kvcache.html",
    "https://github.com/NVIDIA/TensorRT-LLM/pull/6768",
    "https://github.com/NVIDIA/TensorRT-LLM/pull/7923",
    "https://github.com/NVIDIA/TensorRT-LLM/issues/1400",
    "https://github.com/NVIDIA/TensorRT-LLM/issues/224",
    "https://github.com/NVIDIA/TensorRT-LLM/pull/16558",
    "https://github.com/NVIDIA/TensorRT-LLM/pull/6574",
  ],
  size,
};

function size(given: ModelShape, asked: RuleRequest): RuleSize {
  refuseCompressed(given);
  const shape = indexerInEveryLayer(given);
  const plan = tensorRtLlmPlan(shape, asked);
  const request = { ...asked, format: { ...withStoredIndexer(shape, asked.format), state: plan.mambaSsmCacheDtype } };
  const { sharding, sequences } = request;
  const stages = rankShapes(shape, sharding).map((stage) => rankMemory(stage, plan, request));
  const stageBytes = stages.map(({ poolBytes, besideBytes }) => exactSum("a rank", [poolBytes, besideBytes]));
  const ranks = sharding.tensor * sharding.context * sharding.data;
  const totalBytes = exactProduct("the pools", exactSum("the pools", stageBytes), ranks);
  return {
    totalBytes,
    bytesPerSequence: sequences === 0 ? 0 : totalBytes / sequences,
    bytesPerToken: stages.reduce((total, stage) => total + growthOf(stage, plan), 0) * sharding.tensor,
    largestDeviceBytes: Math.max(...stageBytes),
    numDevices: ranks * sharding.pipeline,
    details: () => ({
      layers: merged(stages, ranks),
      figures: stages.slice(0, 1).flatMap((stage) => figuresOf(stage, plan)),
      assumptions: [...assumptionsOf(shape, plan), ...indexerAssumption("tensorrt-llm", shape, asked.format)],
      blocks: blocksOf(stages, plan),
    }),
  };
}

function refuseCompressed(shape: ModelShape): void {
  const compressed = groupLayers(shape.layers).find(({ layer }) => layer.kind === "compressed");
  if (compressed === undefined) return;
  const { name, version } = tensorRtLlmRule;
  const reason = "DeepSeek-V4's caches came with 1.3 (https://github.com/NVIDIA/TensorRT-LLM/pull/15394)";
  throw new NotRunByEngineError(name, version, shape.modelType, compressed.layer, reason);
}

/** In the long run the pool of the layers that keep every token decides, and the others get their shares beside it. */
function growthOf({ pools }: RankMemory, { maxSeqLen, maxAttentionWindow }: TensorRtLlmPlan): number {
  const full = pools.at(-1);
  if (full === undefined) return 0;
  const isBounded = maxAttentionWindow.length > 0 && Math.max(...maxAttentionWindow) < maxSeqLen;
  return isBounded ? 0 : full.tokenBytes / full.share;
}

/** The layers of all stages, those of one kind and size together. */
function merged(stages: readonly RankMemory[], copies: number): RuleLayers[] {
  const layers = new Map<string, RuleLayers>();
  for (const { kind, count, bytes } of stages.flatMap((stage) => stage.layers())) {
    const key = `${kind} ${bytes / count}`;
    const known = layers.get(key);
    layers.set(key, { kind, count: count + (known?.count ?? 0), bytes: bytes * copies + (known?.bytes ?? 0) });
  }
  return [...layers.values()];
}

function isWindowed({ kind }: LayerShape): boolean {
  return kind === "sliding" || kind === "chunked";
}

function assumptionsOf(shape: ModelShape, { maxAttentionWindow, maxTokens }: TensorRtLlmPlan): string[] {
  if (maxAttentionWindow.length > 0) {
    return maxTokens === undefined
      ? []
      : ["maxTokens is ignored beside maxAttentionWindow, as TensorRT-LLM ignores it"];
  }
  if (!groupLayers(shape.layers).some(({ layer }) => isWindowed(layer))) return [];
  return ["windowed layers are kept in full: no maxAttentionWindow is given"];
}

function blocksOf(stages: readonly RankMemory[], plan: TensorRtLlmPlan): RuleBlocks | null {
  const { tokensPerBlock } = plan;
  const bytesPerBlock = Math.ceil(Math.max(...stages.map((stage) => growthOf(stage, plan))) * tokensPerBlock);
  if (bytesPerBlock === 0) return null;
  return { tokensPerBlock, bytesPerBlock, fixedBytes: Math.max(...stages.map(({ besideBytes }) => besideBytes)) };
}

/** The log of one rank. */
function figuresOf({ pools }: RankMemory, plan: TensorRtLlmPlan): RuleFigure[] {
  const { tokensPerBlock, maxGpuTotalBytes } = plan;
  const sized = pools.map(({ windowTokens, tokenBytes, places, share }) => {
    const budgetTokens = maxGpuTotalBytes === undefined ? places : (maxGpuTotalBytes * share) / tokenBytes;
    return { windowTokens, tokenBytes, blocks: Math.floor(budgetTokens / tokensPerBlock) };
  });
  const [only] = sized;
  if (only === undefined) return [];
  if (sized.length > 1) {
    return sized.map(({ windowTokens, blocks }) => ({
      name: `Window size = ${windowTokens}`,
      value: `primary_blocks: ${blocks}`,
    }));
  }
  const tokens = only.blocks * tokensPerBlock;
  return [
    { name: "primary blocks", value: `${only.blocks}` },
    {
      name: `for max tokens in paged KV cache (${tokens})`,
      value: `${((tokens * only.tokenBytes) / 2 ** 30).toFixed(2)} GiB`,
    },
  ];
}
