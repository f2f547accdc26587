import { elementBytes } from "../dtype.ts";
import { NotRunByEngineError } from "../errors.ts";
import { exactProduct, exactSum } from "../exact.ts";
import { groupLayers } from "../layer-groups.ts";
import type { StateLayer } from "../layer-shape.ts";
import type { ModelShape } from "../model-shape.ts";
import { rankShapes } from "../sharding.ts";
import { checkDeepseekV4, isCompressed, packedEntryAssumption } from "./deepseek-v4.ts";
import { indexerAssumption, indexerInEveryLayer, withStoredIndexer } from "./indexer.ts";
import type { Rule, RuleBlocks, RuleFigure, RuleLayers, RuleRequest, RuleSize } from "./rule.ts";
import { compressedFigures, compressedGrowth, compressedParts } from "./sglang-compressed.ts";
import { type SglangPlan, sglangPlan } from "./sglang-plan.ts";
import { pooledGrowth, pooledParts, type SglangPart } from "./sglang-pools.ts";

/**
 * SGLang: pools of token slots, each a page larger than asked for. Knobs, named as its flags are: `pageSize`,
 * `maxTotalTokens`, `swaFullTokensRatio`, `disableHybridSwaMemory`, `maxRunningRequests`, `maxMambaCacheSize`.
 *
 * Windows have a pool of their own in the architectures that SGLang lists for it, and are kept in full in the others. An
 * encoder's tokens take slots like any others. Of encoder-decoder models it runs Whisper and Llama 3.2 Vision.
 */
export const sglangRule: Rule = {
  name: "sglang",
  version: "0.5, as of mid-2026",
  documentation: [
    "https://github.com/sgl-project/sglang/blob/main/python/sglang/srt/model_executor/pool_configurator.py",
    "https://github.com/sgl-project/sglang/blob/main/python/sglang/srt/mem_cache/swa_memory_pool.py",
    "https://github.com/sgl-project/sglang/blob/main/python/sglang/srt/mem_cache/deepseek_v4_memory_pool.py",
    "https://github.com/sgl-project/sglang/blob/main/python/sglang/srt/configs/model_config.py",
    "https://github.com/sgl-project/sglang/pull/18039",
    "https://github.com/sgl-project/sglang/issues/23602",
    "https://github.com/vllm-project/vllm/issues/21348",
    "https://github.com/sgl-project/sglang/pull/11309",
    "https://github.com/sgl-project/sglang/pull/30531",
    "https://github.com/sgl-project/sglang/blob/main/python/sglang/srt/mem_cache/memory_pool.py",
  ],
  size,
};

const ENCODER_DECODERS: readonly string[] = ["whisper", "mllama_text_model"];

function size(given: ModelShape, asked: RuleRequest): RuleSize {
  const shape = indexerInEveryLayer(given);
  const request = { ...asked, format: withStoredIndexer(shape, asked.format) };
  const packed = isCompressed(shape);
  if (packed) checkDeepseekV4(sglangRule, shape);
  refuseOtherEncoders(shape);
  const plan = sglangPlan(shape, request);
  const { sharding, sequences } = request;
  const stages = rankShapes(shape, sharding).map((stage, i) => (i === 0 ? stage : withoutEncoder(stage)));
  const parts = stages.map((stage) => (packed ? compressedParts : pooledParts)(stage, plan, request));
  const growth = stages.map((stage) => (packed ? compressedGrowth : pooledGrowth)(stage, plan, request));
  const stageBytes = parts.map(totalOf);
  const ranks = sharding.tensor * sharding.context * sharding.data;
  const totalBytes = exactProduct("the pools", exactSum("the pools", stageBytes), ranks);
  return {
    totalBytes,
    bytesPerSequence: sequences === 0 ? 0 : totalBytes / sequences,
    bytesPerToken: growth.reduce((total, bytes) => total + bytes, 0) * sharding.tensor,
    largestDeviceBytes: Math.max(...stageBytes),
    numDevices: ranks * sharding.pipeline,
    details: () => ({
      layers: layersOf(parts.flat(), ranks),
      figures: packed
        ? compressedFigures(shape, plan, request)
        : [...stateFigures(stages[0] ?? shape, plan, request), ...figuresOf(parts[0] ?? [], plan)],
      assumptions: [
        ...(packed ? packedEntryAssumption("sglang", request.format) : windowAssumption(shape, plan)),
        ...indexerAssumption("sglang", shape, asked.format),
      ],
      blocks: pagesOf(parts, growth, plan),
    }),
  };
}

function withoutEncoder({ encoderLayers: _onFirstStage, ...stage }: ModelShape): ModelShape {
  return stage;
}

function refuseOtherEncoders(shape: ModelShape): void {
  const cross = groupLayers(shape.layers).find(({ layer }) => layer.kind === "cross");
  if (cross === undefined || ENCODER_DECODERS.includes(shape.modelType)) return;
  const reason = "of models with an encoder it runs Whisper and Llama 3.2 Vision";
  throw new NotRunByEngineError("sglang", sglangRule.version, shape.modelType, cross.layer, reason);
}

function windowAssumption({ layers, modelType }: ModelShape, { hasWindowPool }: SglangPlan): string[] {
  const windowed = groupLayers(layers).some(({ layer }) => layer.kind === "sliding" || layer.kind === "chunked");
  return windowed && !hasWindowPool ? [`windowed layers are kept in full: no pool of windows for ${modelType}`] : [];
}

function bytesOf({ keyBytes, valueBytes }: SglangPart): number {
  return keyBytes + valueBytes;
}

function totalOf(parts: readonly SglangPart[]): number {
  return exactSum("a rank's pools", parts.map(bytesOf));
}

/** The parts of all stages, those alike together. */
function layersOf(parts: readonly SglangPart[], copies: number): RuleLayers[] {
  const layers = new Map<string, RuleLayers>();
  for (const part of parts) {
    const key = `${part.kind} ${bytesOf(part) / part.count}`;
    const { count, bytes } = layers.get(key) ?? { count: 0, bytes: 0 };
    layers.set(key, { kind: part.kind, count: count + part.count, bytes: bytes + bytesOf(part) * copies });
  }
  return [...layers.values()];
}

/** Pages of the full pool, each with its share of the windows; the rest is there without any. */
function pagesOf(
  parts: readonly (readonly SglangPart[])[],
  growth: readonly number[],
  { pageSize, fullTokens }: SglangPlan,
): RuleBlocks | null {
  const bytesPerBlock = Math.ceil(Math.max(...growth) * pageSize);
  if (bytesPerBlock === 0) return null;
  const rest = parts.map((stage, i) => totalOf(stage) - Math.floor((growth[i] ?? 0) * fullTokens));
  return { tokensPerBlock: pageSize, bytesPerBlock, fixedBytes: Math.max(0, ...rest) };
}

/** The log of one rank; its "GB" are GiB. The pool of windows is allocated, and told of, before the other. */
function figuresOf(parts: readonly SglangPart[], plan: SglangPlan): RuleFigure[] {
  const { fullTokens, swaTokens, hasWindowPool } = plan;
  if (!hasWindowPool) return poolFigures(parts, "full", fullTokens, "");
  const memory = totalOf(parts.filter(({ pool }) => pool === "full" || pool === "swa"));
  return [
    ...poolFigures(parts, "swa", swaTokens, " (windows)"),
    ...poolFigures(parts, "full", fullTokens, ""),
    { name: "SWAKVPool mem usage", value: `${gb(memory)}, swa size: ${swaTokens}, full size: ${fullTokens}` },
  ];
}

/** Of recurrent layers; the GB of this line are GiB as well. */
function stateFigures(stage: ModelShape, { maxMambaCacheSize }: SglangPlan, { format }: RuleRequest): RuleFigure[] {
  const states = stage.layers.filter((layer) => layer.kind === "state");
  if (states.length === 0) return [];
  const size = (bytesOf: (layer: StateLayer) => number): string => {
    const slot = states.reduce((total, layer) => total + bytesOf(layer), 0);
    return `${((slot * (maxMambaCacheSize + 1)) / 2 ** 30).toFixed(2)}GB`;
  };
  const conv = size((layer) => layer.convWidth * layer.convColumns * elementBytes(format.conv));
  const ssm = size((layer) => layer.stateElements * elementBytes(format.state));
  const value = `max_mamba_cache_size: ${maxMambaCacheSize}, conv_state size: ${conv}, ssm_state size: ${ssm}`;
  return [{ name: "Mamba Cache", value }];
}

function poolFigures(parts: readonly SglangPart[], pool: "full" | "swa", tokens: number, mark: string): RuleFigure[] {
  const own = parts.filter((part) => part.pool === pool && bytesOf(part) > 0);
  const sum = (of: (part: SglangPart) => number): string => gb(own.reduce((total, part) => total + of(part), 0));
  const count = { name: `#tokens${mark}`, value: `${tokens}` };
  if (own.some(({ kind }) => kind === "latent")) return [count, { name: `KV size${mark}`, value: sum(bytesOf) }];
  return [
    count,
    { name: `K size${mark}`, value: sum(({ keyBytes }) => keyBytes) },
    { name: `V size${mark}`, value: sum(({ valueBytes }) => valueBytes) },
  ];
}

function gb(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(2)} GB`;
}
