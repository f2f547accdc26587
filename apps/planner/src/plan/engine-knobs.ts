import type { RuleName } from "@kv/config";

/** One knob of an engine, as the page offers it. */
export type EngineKnob = {
  /** The knob's name in the rule. */
  readonly name: string;
  /** The flag or setting by which the engine's users know it. */
  readonly flag: string;
} & (
  | { readonly kind: "count" | "bytes" | "share" | "counts" | "shares"; readonly unset: string }
  | { readonly kind: "flag"; readonly unset: boolean }
  | { readonly kind: "choice"; readonly choices: readonly string[]; readonly unset: string }
);

/** The knobs that each rule reads. `unset` is what the rule takes when nothing is given. */
export const ENGINE_KNOBS: Readonly<Record<RuleName, readonly EngineKnob[]>> = {
  exact: [],
  "llama.cpp": [
    { name: "ctxSize", flag: "--ctx-size", kind: "count", unset: "context × sequences" },
    { name: "parallel", flag: "--parallel", kind: "count", unset: "sequences" },
    { name: "batchSize", flag: "--batch-size", kind: "count", unset: "2048" },
    { name: "ubatchSize", flag: "--ubatch-size", kind: "count", unset: "512" },
    { name: "kvUnified", flag: "--kv-unified", kind: "flag", unset: false },
    { name: "swaFull", flag: "--swa-full", kind: "flag", unset: false },
    { name: "flashAttn", flag: "--flash-attn", kind: "flag", unset: true },
    { name: "mla", flag: "file knows latent attention", kind: "flag", unset: true },
    { name: "rsSeq", flag: "snapshots of recurrent state", kind: "count", unset: "0" },
  ],
  vllm: [
    { name: "blockSize", flag: "--block-size", kind: "count", unset: "16, or the model's" },
    { name: "maxModelLen", flag: "--max-model-len", kind: "count", unset: "context" },
    { name: "maxNumBatchedTokens", flag: "--max-num-batched-tokens", kind: "count", unset: "8192" },
    { name: "kvCacheMemoryBytes", flag: "--kv-cache-memory-bytes", kind: "bytes", unset: "what the sequences need" },
    { name: "numSpeculativeTokens", flag: "speculative tokens", kind: "count", unset: "0" },
    { name: "mambaCacheMode", flag: "--mamba-cache-mode", kind: "choice", choices: ["none", "align"], unset: "none" },
    {
      name: "mambaSsmCacheDtype",
      flag: "--mamba-ssm-cache-dtype",
      kind: "choice",
      choices: ["auto", "fp32", "fp16", "bf16"],
      unset: "auto",
    },
    { name: "asyncScheduling", flag: "--async-scheduling", kind: "flag", unset: false },
    { name: "disableHybridKvCacheManager", flag: "--disable-hybrid-kv-cache-manager", kind: "flag", unset: false },
  ],
  sglang: [
    { name: "pageSize", flag: "--page-size", kind: "count", unset: "1, or the model's" },
    { name: "maxTotalTokens", flag: "--max-total-tokens", kind: "count", unset: "what the sequences need" },
    { name: "swaFullTokensRatio", flag: "--swa-full-tokens-ratio", kind: "share", unset: "0.8" },
    { name: "maxRunningRequests", flag: "--max-running-requests", kind: "count", unset: "sequences" },
    { name: "maxMambaCacheSize", flag: "--max-mamba-cache-size", kind: "count", unset: "sequences" },
    { name: "disableHybridSwaMemory", flag: "--disable-hybrid-swa-memory", kind: "flag", unset: false },
  ],
  "tensorrt-llm": [
    { name: "tokensPerBlock", flag: "tokens_per_block", kind: "count", unset: "32, or the model's" },
    { name: "maxTokens", flag: "max_tokens_in_paged_kv_cache", kind: "count", unset: "what the sequences need" },
    { name: "maxAttentionWindow", flag: "max_attention_window", kind: "counts", unset: "every token, or 512,512,4096" },
    { name: "windowSizeShares", flag: "TRTLLM_WINDOW_SIZE_SHARES", kind: "shares", unset: "equal, or 0.4,0.6" },
    { name: "maxGpuTotalBytes", flag: "max_gpu_total_bytes", kind: "bytes", unset: "what the sequences need" },
    {
      name: "mambaSsmCacheDtype",
      flag: "mamba_ssm_cache_dtype",
      kind: "choice",
      choices: ["auto", "fp32", "fp16", "bf16"],
      unset: "auto",
    },
  ],
  transformers: [
    {
      name: "cache",
      flag: "cache_implementation",
      kind: "choice",
      choices: ["dynamic", "static"],
      unset: "dynamic",
    },
    { name: "majorVersion", flag: "major version", kind: "choice", choices: ["5", "4"], unset: "5" },
  ],
};

/** The state's key of a rule's knob. */
export function knobKey(rule: string, knob: string): string {
  return `${rule}.${knob}`;
}
