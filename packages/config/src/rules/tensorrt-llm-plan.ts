import { KV_DTYPES, type KvDtype } from "../dtype.ts";
import { InvalidConfigError } from "../errors.ts";
import { exactProduct } from "../exact.ts";
import type { ModelShape } from "../model-shape.ts";
import { roundUp } from "../stored-tokens.ts";
import { hasSparseLatents } from "./indexer.ts";
import { Knobs } from "./knobs.ts";
import type { RuleRequest } from "./rule.ts";

const KNOBS = [
  "tokensPerBlock",
  "maxTokens",
  "maxAttentionWindow",
  "windowSizeShares",
  "maxGpuTotalBytes",
  "mambaSsmCacheDtype",
];

const STATE_DTYPES = ["auto", "format", ...KV_DTYPES] as const;

/** Tokens of a block that the kernels for latents with an indexer ask for. */
const SPARSE_BLOCK = 64;

/** A sequence that is longer than its window holds one block more, so that it always has a whole window. */
const EXTRA_BLOCKS = 1;

/** TensorRT-LLM's settings, under its own names, and what follows from them. */
export interface TensorRtLlmPlan {
  /** `tokens_per_block`, 32 unless given; 64 for latents with an indexer, and nothing else. */
  readonly tokensPerBlock: number;
  /** `max_tokens` (`max_tokens_in_paged_kv_cache`), or undefined for what the sequences need. Without windows only. */
  readonly maxTokens: number | undefined;
  /** `max_attention_window`, repeated over the layers; empty for none: then every layer keeps every token. */
  readonly maxAttentionWindow: readonly number[];
  /** `TRTLLM_WINDOW_SIZE_SHARES`, the smallest window first; empty for equal shares. */
  readonly windowSizeShares: readonly number[];
  /** `max_gpu_total_bytes` of one rank: the log for this budget. */
  readonly maxGpuTotalBytes: number | undefined;
  /** `mamba_ssm_cache_dtype`: the model's type unless given; `format` takes the state type of the format. */
  readonly mambaSsmCacheDtype: KvDtype;
  /** Tokens of the longest sequence on one rank. */
  readonly maxSeqLen: number;
  /** Sequences of one replica. */
  readonly sequences: number;
}

/** Reads the settings of a request. @throws InvalidConfigError */
export function tensorRtLlmPlan(shape: ModelShape, request: RuleRequest): TensorRtLlmPlan {
  const knobs = new Knobs(request.knobs, KNOBS);
  const { sharding } = request;
  return {
    tokensPerBlock: blockOf(shape, request, knobs),
    maxTokens: knobs.optionalCount("maxTokens"),
    maxAttentionWindow: knobs.counts("maxAttentionWindow"),
    windowSizeShares: knobs.shares("windowSizeShares"),
    maxGpuTotalBytes: knobs.optionalCount("maxGpuTotalBytes"),
    mambaSsmCacheDtype: stateDtype(shape, request, knobs.choice("mambaSsmCacheDtype", STATE_DTYPES, "auto")),
    maxSeqLen: Math.ceil(request.tokens / sharding.context),
    sequences: Math.ceil(request.sequences / sharding.data),
  };
}

function blockOf(shape: ModelShape, { tokensPerBlock }: RuleRequest, knobs: Knobs): number {
  if (!hasSparseLatents(shape)) return knobs.count("tokensPerBlock", tokensPerBlock ?? 32);
  const block = knobs.count("tokensPerBlock", tokensPerBlock ?? SPARSE_BLOCK);
  if (block === SPARSE_BLOCK) return block;
  throw new InvalidConfigError("knobs.tokensPerBlock", block, `${SPARSE_BLOCK}, for latents with an indexer`);
}

function stateDtype(shape: ModelShape, { format }: RuleRequest, knob: (typeof STATE_DTYPES)[number]): KvDtype {
  if (knob === "format") return format.state;
  if (knob !== "auto") return knob;
  return shape.dtype === "fp32" ? "fp32" : "bf16";
}

/** How many of the layers attend to how many tokens at most. */
export function windowsOf(indices: readonly number[], plan: TensorRtLlmPlan): ReadonlyMap<number, number> {
  const { maxAttentionWindow, maxSeqLen } = plan;
  if (maxAttentionWindow.length === 0) return new Map([[maxSeqLen, indices.length]]);
  const counts = new Map<number, number>();
  for (const index of indices) {
    const window = Math.min(maxAttentionWindow[index % maxAttentionWindow.length] ?? maxSeqLen, maxSeqLen);
    counts.set(window, (counts.get(window) ?? 0) + 1);
  }
  return counts;
}

/** Places for tokens that the sequences take in the layers of one window. */
export function placesOf(window: number, plan: TensorRtLlmPlan): number {
  const { tokensPerBlock, maxSeqLen, sequences, maxTokens, maxAttentionWindow } = plan;
  if (maxTokens !== undefined && maxAttentionWindow.length === 0) return roundUp(maxTokens, tokensPerBlock);
  const blocks = Math.ceil(window / tokensPerBlock) + (window < maxSeqLen ? EXTRA_BLOCKS : 0);
  return exactProduct("the tokens", blocks, tokensPerBlock, sequences);
}

/** The part of the memory that the pool of each window gets, the smallest window first. @throws InvalidConfigError */
export function sharesOf(numWindows: number, { windowSizeShares }: TensorRtLlmPlan): readonly number[] {
  if (windowSizeShares.length === 0) return Array.from({ length: numWindows }, () => 1 / numWindows);
  const sum = windowSizeShares.reduce((total, share) => total + share, 0);
  if (windowSizeShares.length === numWindows && Math.abs(sum - 1) < 1e-9) return windowSizeShares;
  const allowed = `${numWindows} shares that add up to 1, one for each size of window`;
  throw new InvalidConfigError("knobs.windowSizeShares", windowSizeShares, allowed);
}
