import { NotRunByEngineError } from "../errors.ts";
import { exactProduct, exactSum } from "../exact.ts";
import type { KvFormat } from "../format.ts";
import { groupLayersByFormat } from "../layer-bytes.ts";
import { groupLayers } from "../layer-groups.ts";
import type { LayerShape } from "../layer-shape.ts";
import type { ModelShape } from "../model-shape.ts";
import { layersPerStage } from "../sharding.ts";
import { checkDeepseekV4, isCompressed, packedEntryAssumption } from "./deepseek-v4.ts";
import { hasSparseLatents, indexerAssumption, withStoredIndexer } from "./indexer.ts";
import type { Rule, RuleBlocks, RuleFigure, RuleLayers, RuleRequest, RuleSize } from "./rule.ts";
import { compressedLayout } from "./vllm-compressed.ts";
import {
  blockTokensOf,
  leastPageTokens,
  pagesPerRequest,
  stageOf,
  type VllmLayout,
  vllmLayout,
} from "./vllm-groups.ts";
import { type VllmKnobs, vllmKnobs } from "./vllm-knobs.ts";
import { type LayoutKnobs, vllmSpecs } from "./vllm-specs.ts";

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
    "https://github.com/vllm-project/vllm/blob/main/vllm/model_executor/models/deepseek_v2.py",
    "https://github.com/vllm-project/vllm/blob/main/vllm/model_executor/models/config.py",
    "https://github.com/vllm-project/vllm/pull/39032",
  ],
  size,
};

function size(shape: ModelShape, request: RuleRequest): RuleSize {
  refuseOtherEncoders(shape);
  const packed = isCompressed(shape);
  if (packed) checkDeepseekV4(vllmRule, shape);
  const format = storedFormat(shape, request.format);
  const knobs = vllmKnobs(request, defaultBlock(shape, packed));
  const { whole, stages } = layoutOf(shape, format, knobs);
  const pages = pagesPerRequest(whole, knobs.maxModelLen);
  const share = Math.ceil(request.sequences / request.sharding.data);
  const ranks = knobs.tensorParallelSize * knobs.decodeContextParallelSize;
  const stageBytes = stages.map(({ blockBytes }) => exactProduct("a request", blockBytes, pages));
  const bytesPerSequence = exactProduct("a request", exactSum("a request", stageBytes), ranks);
  return {
    totalBytes: exactProduct("the cache", bytesPerSequence, request.sequences),
    bytesPerSequence,
    bytesPerToken: growth(whole, stages, knobs) * knobs.tensorParallelSize,
    largestDeviceBytes: exactProduct("one device", Math.max(0, ...stageBytes), share),
    numDevices: ranks * stages.length * request.sharding.data,
    details: () => ({
      layers: layersOf(shape, whole, format, { knobs, copies: ranks * request.sequences }),
      figures: figuresOf(stages, pages, knobs, request),
      assumptions: [
        ...(packed ? packedEntryAssumption("vllm", format) : []),
        ...indexerAssumption("vllm", shape, request.format),
        ...(format.keys === request.format.keys ? [] : ["vllm stores fp8 latents beside an indexer as fp8_ds_mla"]),
      ],
      blocks: blocksOf(stages, whole, knobs),
    }),
  };
}

/** Tokens of a block where nothing says so: the kernels for packed entries, and for latents with an indexer, have their own. */
function defaultBlock(shape: ModelShape, packed: boolean): number {
  if (packed) return 256;
  return hasSparseLatents(shape) ? 64 : 16;
}

/** Beside an indexer a latent in fp8 takes FlashMLA's row of 656 bytes. */
function storedFormat(shape: ModelShape, asked: KvFormat): KvFormat {
  const format = withStoredIndexer(shape, asked);
  if (!hasSparseLatents(shape) || !asked.keys.startsWith("fp8_e")) return format;
  return { ...format, keys: "fp8_ds_mla", values: "fp8_ds_mla" };
}

function refuseOtherEncoders(shape: ModelShape): void {
  const cross = groupLayers(shape.layers).find(({ layer }) => layer.kind === "cross");
  if (cross === undefined || shape.modelType === "whisper") return;
  const reason = "of models with an encoder it has kept Whisper only (https://github.com/vllm-project/vllm/pull/24907)";
  throw new NotRunByEngineError("vllm", vllmRule.version, shape.modelType, cross.layer, reason);
}

interface Layouts {
  readonly whole: VllmLayout;
  readonly stages: readonly VllmLayout[];
}

/** A plan sizes the same layers many times and asks for other lengths only: the latest layout is kept. */
const latest = new WeakMap<readonly LayerShape[], Layouts & { readonly key: string }>();

function layoutOf(shape: ModelShape, format: KvFormat, given: VllmKnobs): Layouts {
  const { maxModelLen: _length, kvCacheMemoryBytes: _budget, ...knobs } = given;
  const packed = isCompressed(shape);
  // Packed entries are the same for every type and on every tensor rank.
  const own = packed ? [format.indexer, { ...knobs, tensorParallelSize: 1 }] : [shape.dtype, format, knobs];
  const key = JSON.stringify([shape.modelType, shape.stateDtype, ...own]);
  const known = latest.get(shape.layers);
  if (known?.key === key) return known;
  const whole = packed ? compressedLayout(shape, format, knobs) : vllmLayout(vllmSpecs(shape, format, knobs));
  const stages = stagesOf(shape, knobs, whole, (start, end) => {
    return packed ? compressedLayout(shape, format, knobs, [start, end]) : stageOf(whole, start, end);
  });
  latest.set(shape.layers, { key, whole, stages });
  return { whole, stages };
}

/** One layout per pipeline stage: groups are made for the whole model, each stage holds its layers of every group. */
function stagesOf(
  shape: ModelShape,
  { pipelineParallelSize }: LayoutKnobs,
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
function growth({ specs }: VllmLayout, stages: readonly VllmLayout[], { maxModelLen }: VllmKnobs): number {
  const packed = stages.filter(({ blockTokens }) => blockTokens !== undefined);
  if (packed.length > 0)
    return packed.reduce((total, stage) => total + stage.blockBytes / blockTokensOf(stage, maxModelLen), 0);
  const growing = specs.filter(({ type }) => type === "full");
  return growing.reduce((total, spec) => total + (spec.pageBytes / spec.tokensPerPage) * spec.indices.length, 0);
}

/** Each kind of layer with the pages of its caches; the padding of groups counts for none. */
function layersOf(
  shape: ModelShape,
  { specs }: VllmLayout,
  format: KvFormat,
  { knobs, copies }: { readonly knobs: VllmKnobs; readonly copies: number },
): RuleLayers[] {
  return groupLayersByFormat(shape.layers, format).map(({ layer, indices }) => {
    const own = specs.filter((spec) => spec.layer.kind === layer.kind && spec.layer.index === layer.index);
    const bytes = own.reduce((total, { pageBytes, tokensPerPage, pagesPerRequest }) => {
      return total + pageBytes * pagesPerRequest(tokensPerPage, knobs.maxModelLen);
    }, 0);
    return { kind: layer.kind, count: indices.length, bytes: bytes * indices.length * copies };
  });
}

/** A block is a page in every layer of the widest group; state and windows are pages too. */
function blocksOf(stages: readonly VllmLayout[], whole: VllmLayout, knobs: VllmKnobs): RuleBlocks | null {
  const bytesPerBlock = Math.max(0, ...stages.map(({ blockBytes }) => blockBytes));
  if (bytesPerBlock === 0) return null;
  return {
    tokensPerBlock: blockTokensOf(whole, knobs.maxModelLen),
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
  const blockTokens = blockTokensOf(first, knobs.maxModelLen);
  const leastPage = leastPageTokens(first, knobs.maxModelLen);
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
