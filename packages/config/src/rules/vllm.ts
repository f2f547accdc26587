import { NotRunByEngineError } from "../errors.ts";
import { exactProduct, exactSum } from "../exact.ts";
import type { KvFormat } from "../format.ts";
import { groupLayersByFormat } from "../layer-bytes.ts";
import { groupLayers } from "../layer-groups.ts";
import type { ModelShape } from "../model-shape.ts";
import { layersPerStage } from "../sharding.ts";
import { checkDeepseekV4, isCompressed, packedEntryAssumption } from "./deepseek-v4.ts";
import type { Rule, RuleBlocks, RuleFigure, RuleLayers, RuleRequest, RuleSize } from "./rule.ts";
import { compressedLayout } from "./vllm-compressed.ts";
import { blockTokensOf, pagesPerRequest, stageOf, type VllmLayout, vllmLayout } from "./vllm-groups.ts";
import { type VllmKnobs, vllmKnobs } from "./vllm-knobs.ts";
import { vllmSpecs } from "./vllm-specs.ts";

/**
 * vLLM's V1 engine. Knobs, named as its flags are: `blockSize`, `maxModelLen`, `maxNumBatchedTokens`, `asyncScheduling`,
 * `disableHybridKvCacheManager`, `numSpeculativeTokens`, `mambaCacheMode`, `mambaSsmCacheDtype`, `kvCacheMemoryBytes`;
 * TP, PP and decode context parallelism come from the sharding, the KV dtype from the format.
 *
 * With `kvCacheMemoryBytes` the figures are those of its log for that budget per rank; without, for a budget that holds
 * the sequences asked for. Of models with an encoder it runs Whisper; the others are a `NotRunByEngineError`.
 */
export const vllmRule: Rule = {
  name: "vllm",
  version: "V1 engine, 0.11 to 0.22; the token count of the log as printed since mid-2026",
  documentation: [
    "https://github.com/vllm-project/vllm/blob/main/vllm/v1/core/kv_cache_utils.py",
    "https://github.com/vllm-project/vllm/blob/main/vllm/v1/kv_cache_interface.py",
    "https://github.com/vllm-project/vllm/issues/54662",
    "https://github.com/vllm-project/vllm/issues/54458",
    "https://github.com/vllm-project/vllm/blob/main/vllm/models/deepseek_v4/compressor.py",
    "https://github.com/vllm-project/vllm/issues/44376",
    "https://github.com/vllm-project/vllm/pull/24907",
  ],
  size,
};

function size(shape: ModelShape, request: RuleRequest): RuleSize {
  refuseOtherEncoders(shape);
  const packed = isCompressed(shape);
  if (packed) checkDeepseekV4(vllmRule, shape);
  const { format } = request;
  const knobs = vllmKnobs(request, packed ? 256 : 16);
  const whole = packed ? compressedLayout(shape, format, knobs) : vllmLayout(vllmSpecs(shape, format, knobs));
  const stages = stagesOf(shape, knobs, whole, (start, end) => {
    return packed ? compressedLayout(shape, format, knobs, [start, end]) : stageOf(whole, start, end);
  });
  const pages = pagesPerRequest(whole);
  const share = Math.ceil(request.sequences / request.sharding.data);
  const ranks = knobs.tensorParallelSize * knobs.decodeContextParallelSize;
  const stageBytes = stages.map(({ blockBytes }) => exactProduct("a request", blockBytes, pages));
  const bytesPerSequence = exactProduct("a request", exactSum("a request", stageBytes), ranks);
  return {
    totalBytes: exactProduct("the cache", bytesPerSequence, request.sequences),
    bytesPerSequence,
    bytesPerToken: growth(whole, stages) * knobs.tensorParallelSize,
    largestDeviceBytes: exactProduct("one device", Math.max(0, ...stageBytes), share),
    numDevices: ranks * stages.length * request.sharding.data,
    details: () => ({
      layers: layersOf(shape, whole, format, ranks * request.sequences),
      figures: figuresOf(stages, pages, knobs, request),
      assumptions: packed ? packedEntryAssumption("vllm", format) : [],
      blocks: blocksOf(stages, whole),
    }),
  };
}

function refuseOtherEncoders(shape: ModelShape): void {
  const cross = groupLayers(shape.layers).find(({ layer }) => layer.kind === "cross");
  if (cross === undefined || shape.modelType === "whisper") return;
  const reason = "of models with an encoder it has kept Whisper only (https://github.com/vllm-project/vllm/pull/24907)";
  throw new NotRunByEngineError("vllm", vllmRule.version, shape.modelType, cross.layer, reason);
}

/** One layout per pipeline stage: groups are made for the whole model, each stage holds its layers of every group. */
function stagesOf(
  shape: ModelShape,
  { pipelineParallelSize }: VllmKnobs,
  whole: VllmLayout,
  stageBetween: (start: number, end: number) => VllmLayout,
): VllmLayout[] {
  if (pipelineParallelSize === 1) return [whole];
  const numLayers = shape.layers.reduce((most, { index }) => Math.max(most, index + 1), 1);
  let start = 0;
  return layersPerStage(numLayers, pipelineParallelSize).map((count) => {
    const stage = stageBetween(start, start + count);
    start += count;
    return stage;
  });
}

/**
 * Growth in the long run: the layers that keep every token. A sparse indexer is a spec of its own and counts once. Where
 * pages of different bytes make up a block, a block is what is added.
 */
function growth({ specs }: VllmLayout, stages: readonly VllmLayout[]): number {
  const packed = stages.filter(({ blockTokens }) => blockTokens !== undefined);
  if (packed.length > 0) return packed.reduce((total, stage) => total + stage.blockBytes / blockTokensOf(stage), 0);
  const growing = specs.filter(({ type }) => type === "full");
  return growing.reduce((total, spec) => total + (spec.pageBytes / spec.tokensPerPage) * spec.indices.length, 0);
}

/** Each kind of layer with the pages of its caches; the padding of groups counts for none. */
function layersOf(shape: ModelShape, { specs }: VllmLayout, format: KvFormat, copies: number): RuleLayers[] {
  return groupLayersByFormat(shape.layers, format).map(({ layer, indices }) => {
    const own = specs.filter((spec) => spec.layer.kind === layer.kind && spec.layer.index === layer.index);
    const bytes = own.reduce((total, spec) => total + spec.pageBytes * spec.pagesPerRequest(spec.tokensPerPage), 0);
    return { kind: layer.kind, count: indices.length, bytes: bytes * indices.length * copies };
  });
}

/** A block is a page in every layer of the widest group; state and windows are pages too. */
function blocksOf(stages: readonly VllmLayout[], whole: VllmLayout): RuleBlocks | null {
  const bytesPerBlock = Math.max(0, ...stages.map(({ blockBytes }) => blockBytes));
  if (bytesPerBlock === 0) return null;
  return {
    tokensPerBlock: blockTokensOf(whole),
    bytesPerBlock,
    fixedBytes: 0,
  };
}

function figuresOf(
  stages: readonly VllmLayout[],
  pages: number,
  knobs: VllmKnobs,
  { sequences }: RuleRequest,
): RuleFigure[] {
  const [first] = stages;
  if (first === undefined || pages === 0) return [];
  const budget = knobs.kvCacheMemoryBytes;
  const numBlocks =
    budget === undefined
      ? pages * sequences
      : Math.min(...stages.map(({ blockBytes }) => Math.floor(budget / blockBytes)));
  const concurrency = numBlocks / pages;
  const blockTokens = blockTokensOf(first);
  const leastPage = Math.min(...first.groups.map(({ tokensPerPage }) => tokensPerPage));
  const olderTokens = Math.floor(numBlocks / first.groups.length) * leastPage * knobs.decodeContextParallelSize;
  const request = first.blockBytes * pages;
  return [
    { name: "block_size", value: `${blockTokens}` },
    { name: "num_gpu_blocks", value: `${numBlocks}` },
    {
      name: "GPU KV cache size",
      value: `${Math.floor(concurrency * knobs.maxModelLen).toLocaleString("en-US")} tokens`,
    },
    { name: "GPU KV cache size (before mid-2026)", value: `${olderTokens.toLocaleString("en-US")} tokens` },
    {
      name: `Maximum concurrency for ${knobs.maxModelLen.toLocaleString("en-US")} tokens per request`,
      value: `${concurrency.toFixed(2)}x`,
    },
    { name: "KV cache needed for one request of max_model_len", value: `${(request / 2 ** 30).toFixed(2)} GiB` },
  ];
}
