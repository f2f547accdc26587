import { type CacheSize, growthBytesPerToken, sizeOf } from "../cache-size.ts";
import { UnsupportedModelError } from "../errors.ts";
import { exactProduct } from "../exact.ts";
import { stateBytes } from "../layer-bytes.ts";
import { groupLayers } from "../layer-groups.ts";
import type { LayerShape } from "../layer-shape.ts";
import type { ModelShape } from "../model-shape.ts";
import { rankShapes } from "../sharding.ts";
import { roundUp } from "../stored-tokens.ts";
import { growingBlocks } from "./blocks.ts";
import { Knobs } from "./knobs.ts";
import type { Rule, RuleLayers, RuleRequest, RuleSize } from "./rule.ts";

/**
 * TensorRT-LLM: paged blocks for every layer. Knobs: `tokensPerBlock` (32 unless given) and `maxTokens`
 * (`max_tokens_in_paged_kv_cache`: the tokens of all sequences unless given).
 */
export const tensorRtLlmRule: Rule = {
  name: "tensorrt-llm",
  version: "0.8 to 1.1",
  documentation: [
    "https://github.com/NVIDIA/TensorRT-LLM/blob/main/docs/source/legacy/advanced/kv-cache-management.md",
    "https://github.com/NVIDIA/TensorRT-LLM/issues/1400",
    "https://github.com/NVIDIA/TensorRT-LLM/issues/224",
  ],
  size,
};

function size(shape: ModelShape, request: RuleRequest): RuleSize {
  const knobs = new Knobs(request.knobs, ["tokensPerBlock", "maxTokens"]);
  const { sharding, sequences, format, encoderTokens } = request;
  const { kept, stateless } = pooled(shape);
  const tokensPerBlock = knobs.count("tokensPerBlock", request.tokensPerBlock ?? 32);
  const share = Math.ceil(sequences / sharding.data);
  const perSequence = roundUp(Math.ceil(request.tokens / sharding.context), tokensPerBlock);
  const maxTokens = knobs.count("maxTokens", exactProduct("the tokens", perSequence, share), 0);
  const pool = sizeOf(stateless, {
    tokens: roundUp(maxTokens, tokensPerBlock),
    encoderTokens,
    format,
    sharding: local(request),
  });
  const states = exactProduct("states", stateTotal(kept, request), share);
  const replicas = sharding.context * sharding.data;
  const totalBytes = exactProduct("the pools", pool.totalBytes + states, replicas);
  const blocks = Math.ceil(maxTokens / tokensPerBlock);
  return {
    totalBytes,
    bytesPerSequence: sequences === 0 ? 0 : totalBytes / sequences,
    bytesPerToken:
      rankShapes(kept, sharding).reduce((total, part) => total + growthBytesPerToken(part, format), 0) *
      sharding.tensor,
    largestDeviceBytes: pool.largestDeviceBytes + Math.ceil(states / (sharding.tensor * sharding.pipeline)),
    numDevices: pool.numDevices * replicas,
    details: () => ({
      layers: layersOf(shape, pool, states, replicas),
      figures: [
        { name: "primary blocks", value: `${blocks}` },
        { name: `for max tokens in paged KV cache (${blocks * tokensPerBlock})`, value: gib(pool.largestDeviceBytes) },
      ],
      assumptions: shape.layers.some(({ kind }) => kind === "sliding") ? ["one pool of full length, without VSWA"] : [],
      blocks: growingBlocks(kept, request, tokensPerBlock),
    }),
  };
}

function layersOf(shape: ModelShape, pool: CacheSize, states: number, replicas: number): RuleLayers[] {
  const layers = pool.layers.map(({ kind, count, bytes }) => ({ kind, count, bytes: bytes * replicas }));
  if (states === 0) return layers;
  return [...layers, { kind: "state", count: shape.layers.filter(isState).length, bytes: states * replicas }];
}

function isState(layer: LayerShape): boolean {
  return layer.kind === "state";
}

/** The pool is sized for one long run of tokens; only tensor and pipeline ranks divide it. */
function local({ sharding }: RuleRequest): { readonly tensor: number; readonly pipeline: number } {
  return { tensor: sharding.tensor, pipeline: sharding.pipeline };
}

function inOnePool(shape: ModelShape, layer: LayerShape): LayerShape {
  if (layer.kind === "compressed") {
    throw new UnsupportedModelError(
      shape.modelType,
      `layers[${layer.index}].kind`,
      layer.kind,
      "a kind that this rule states",
    );
  }
  if (layer.kind !== "sliding" && layer.kind !== "chunked") return layer;
  const { index, numKvHeads, keyDim, valueDim } = layer;
  return { kind: "full", index, numKvHeads, keyDim, valueDim, indexerKeyDim: 0 };
}

/** A shape as this engine keeps it, and the same without recurrent state, which is not in the pool. */
interface Pooled {
  readonly kept: ModelShape;
  readonly stateless: ModelShape;
}

/** A plan sizes one shape many times. */
const pooledOf = new WeakMap<ModelShape, Pooled>();

function pooled(shape: ModelShape): Pooled {
  const known = pooledOf.get(shape);
  if (known !== undefined) return known;
  const layers = shape.layers.map((layer) => inOnePool(shape, layer));
  const stateless = layers.map((layer): LayerShape => (isState(layer) ? { kind: "none", index: layer.index } : layer));
  const made = { kept: { ...shape, layers }, stateless: { ...shape, layers: stateless } };
  pooledOf.set(shape, made);
  return made;
}

function stateTotal(shape: ModelShape, { sharding, format }: RuleRequest): number {
  const groups = rankShapes(shape, { ...sharding, data: 1, context: 1 }).flatMap((part) => groupLayers(part.layers));
  const bytes = groups.reduce((total, { layer, indices }) => {
    return total + (layer.kind === "state" ? stateBytes(layer, format) * indices.length : 0);
  }, 0);
  return bytes * sharding.tensor;
}

function gib(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(2)} GiB`;
}
