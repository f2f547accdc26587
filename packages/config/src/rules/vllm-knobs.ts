import { KV_DTYPES, type KvDtype } from "../dtype.ts";
import { Knobs } from "./knobs.ts";
import type { RuleRequest } from "./rule.ts";

const KNOBS = [
  "blockSize",
  "maxModelLen",
  "maxNumBatchedTokens",
  "asyncScheduling",
  "disableHybridKvCacheManager",
  "numSpeculativeTokens",
  "mambaCacheMode",
  "mambaSsmCacheDtype",
  "kvCacheMemoryBytes",
];

const STATE_DTYPES = ["auto", "format", ...KV_DTYPES] as const;

/** vLLM's knobs, named as its flags are. */
export interface VllmKnobs {
  /** `--block-size`, 16 unless given, 64 for latents with an indexer, 256 for DeepSeek-V4. */
  readonly blockSize: number;
  /** `--max-model-len`: the tokens asked for unless given. */
  readonly maxModelLen: number;
  /** `--max-num-batched-tokens`, 8192 unless given. */
  readonly maxNumBatchedTokens: number;
  /** `--async-scheduling`: twice the tokens are in flight. Off unless given. */
  readonly asyncScheduling: boolean;
  /** `--disable-hybrid-kv-cache-manager`: windows and chunks are kept in full. Off unless given. */
  readonly disableHybridKvCacheManager: boolean;
  /** Tokens that speculative decoding drafts. 0 unless given. */
  readonly numSpeculativeTokens: number;
  /** `--mamba-cache-mode`: `align` (prefix caching) keeps one state more. `none` unless given. */
  readonly mambaCacheMode: "none" | "align";
  /** `--mamba-ssm-cache-dtype`; `format` takes the state type of the format. `auto` unless given. */
  readonly mambaSsmCacheDtype: KvDtype | "auto" | "format";
  /** `--kv-cache-memory-bytes`: the budget of one rank, or undefined to size for the sequences asked for. */
  readonly kvCacheMemoryBytes: number | undefined;
  readonly tensorParallelSize: number;
  readonly pipelineParallelSize: number;
  /** `--decode-context-parallel-size`. */
  readonly decodeContextParallelSize: number;
  readonly encoderTokens: number;
}

/** Tokens of a request that are being computed, and so are kept beside its windows. */
export function inFlightTokens({
  maxNumBatchedTokens,
  asyncScheduling,
}: Pick<VllmKnobs, "maxNumBatchedTokens" | "asyncScheduling">): number {
  return maxNumBatchedTokens * (asyncScheduling ? 2 : 1);
}

/** Reads the knobs of a request. `defaultBlock` is the model's own block size. @throws InvalidConfigError */
export function vllmKnobs(request: RuleRequest, defaultBlock: number): VllmKnobs {
  const { tokens, encoderTokens, tokensPerBlock, sharding, knobs: given } = request;
  const knobs = new Knobs(given, KNOBS);
  return {
    blockSize: knobs.count("blockSize", tokensPerBlock ?? defaultBlock),
    maxModelLen: Math.max(1, knobs.count("maxModelLen", tokens, 0)),
    maxNumBatchedTokens: knobs.count("maxNumBatchedTokens", 8192),
    asyncScheduling: knobs.flag("asyncScheduling", false),
    disableHybridKvCacheManager: knobs.flag("disableHybridKvCacheManager", false),
    numSpeculativeTokens: knobs.count("numSpeculativeTokens", 0, 0),
    mambaCacheMode: knobs.choice("mambaCacheMode", ["none", "align"], "none"),
    mambaSsmCacheDtype: knobs.choice("mambaSsmCacheDtype", STATE_DTYPES, "auto"),
    kvCacheMemoryBytes: knobs.optionalCount("kvCacheMemoryBytes"),
    tensorParallelSize: sharding.tensor,
    pipelineParallelSize: sharding.pipeline,
    decodeContextParallelSize: sharding.context,
    encoderTokens,
  };
}
