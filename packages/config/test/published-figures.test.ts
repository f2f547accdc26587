import { describe, expect, test } from "vitest";
import type { KvType } from "../src/format.ts";
import { fromHuggingFace } from "../src/hugging-face/from-hugging-face.ts";
import type { ModelShape } from "../src/model-shape.ts";
import { type SizeOptions, type SizeReport, sizeReport } from "../src/size-report.ts";
import { MODELS, modelShape } from "./models.ts";

/** A figure that somebody printed: in a log, a table or a paper. */
interface Published {
  readonly model: string;
  readonly options: SizeOptions;
  /** The number and unit as printed; reproduced to the last digit given. */
  readonly printed: string;
  /** What of the report the number is. */
  readonly of: (report: SizeReport) => number;
  readonly source: string;
  readonly shape?: ModelShape;
}

const UNITS: Readonly<Record<string, number>> = {
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  KiB: 2 ** 10,
  bytes: 1,
  tokens: 1,
  x: 1,
  cells: 1,
  blocks: 1,
};

const total = (report: SizeReport): number => report.totalBytes;
const device = (report: SizeReport): number => report.largestDeviceBytes;
const perToken = (report: SizeReport): number => report.bytesPerToken;
const kindBytes =
  (kind: string) =>
  (report: SizeReport): number =>
    report.layers.filter((layer) => layer.kind === kind).reduce((sum, { bytes }) => sum + bytes, 0);

/** A number inside one of the report's own figures: the first that follows `after`. */
const inFigure =
  (name: string, after = "") =>
  (report: SizeReport): number => {
    const value =
      (
        report.figures.find((figure) => figure.name === name) ??
        report.figures.find((figure) => figure.name.startsWith(name))
      )?.value ?? "";
    const match = /([\d,]+(?:\.\d+)?)( MiB| GiB| GB)?/.exec(value.slice(value.indexOf(after) + after.length));
    const unit = { " MiB": 2 ** 20, " GiB": 2 ** 30, " GB": 2 ** 30 }[match?.[2] ?? ""] ?? 1;
    return Number(match?.[1]?.replaceAll(",", "")) * unit;
  };

const GiB = 2 ** 30;
const llamaCpp = (tokens: number, rest: SizeOptions = {}): SizeOptions => ({ rule: "llama.cpp", tokens, ...rest });
const vllm = (tokens: number, budgetGiB: number, knobs: object = {}, rest: SizeOptions = {}): SizeOptions => {
  return { rule: "vllm", tokens, knobs: { kvCacheMemoryBytes: Math.floor(budgetGiB * GiB), ...knobs }, ...rest };
};

/** The first configuration file of Llama 3.1 405B said 16 KV heads; tables of that time follow it. */
const early405B = fromHuggingFace({
  ...MODELS.find(({ id }) => id === "meta-llama/Meta-Llama-3.1-405B")?.config,
  num_key_value_heads: 16,
});

const BLOG = "https://github.com/huggingface/blog/issues/2345";
const blogTable = (model: string, printed: readonly string[], shape?: ModelShape): Published[] =>
  [1024, 16_000, 128_000].map((tokens, i) => {
    return {
      model,
      options: { tokens },
      printed: printed[i] as string,
      of: total,
      source: BLOG,
      ...(shape && { shape }),
    };
  });

const FALCON_H1 = "https://github.com/GeniePod/genie-claw/issues/410";
const GENIEX = "https://github.com/qualcomm/GenieX/pull/1346";
const UNSLOTH = "https://github.com/unslothai/unsloth/pull/7530";
const TP_QUANTISED = "https://github.com/ggml-org/llama.cpp/pull/23792";
const VLLM_10517 = "https://github.com/vllm-project/vllm/issues/10517";
const CLUB_612 = "https://github.com/noonghunna/club-3090/issues/612";
const CLUB_594 = "https://github.com/noonghunna/club-3090/pull/594";
const VLLM_24577 = "https://github.com/vllm-project/vllm/pull/24577";
const VLLM_40691 = "https://github.com/vllm-project/vllm/issues/40691";
const SGLANG_SWA = "https://github.com/sgl-project/sglang/pull/18039";
const SGLANG_MIMO = "https://github.com/sgl-project/sglang/pull/15464";
/** K and V of the pool of windows, of the other pool, and both together, as far as a log prints them. */
const swaPools = (source: string, knobs: Readonly<Record<string, unknown>>, printed: readonly string[]): Published[] =>
  printed.map((figure, i) => ({
    model: "XiaomiMiMo/MiMo-V2-Flash",
    options: { rule: "sglang", tokens: 1, sharding: { tensor: 4 }, knobs },
    printed: figure,
    of: inFigure(["K size (windows)", "V size (windows)", "K size", "V size", "SWAKVPool"][i] as string, ""),
    source,
  }));
const SGLANG_DSA = "https://github.com/sgl-project/sglang/pull/11309";
const VLLM_SGLANG = "https://github.com/vllm-project/vllm/issues/21348";
const FREETOKEN = "https://github.com/FlashML-org/FreeToken/pull/126";
const CONFIGIQ = "https://github.com/redhat-performance/configiq/issues/112";
const HN = "https://paper-digest.app/en/papers/hn_47558733";

/** One run's figures: the caches' lines of a log. */
const run = (
  model: string,
  options: SizeOptions,
  source: string,
  printed: readonly (readonly [string, Published["of"]])[],
): Published[] => printed.map(([figure, of]) => ({ model, options, printed: figure, of, source }));
/** The same context with other types. */
const types = (model: string, tokens: number, printed: Readonly<Partial<Record<KvType, string>>>): Published[] =>
  Object.entries(printed).map(([format, figure]) => ({
    model,
    options: llamaCpp(tokens, { format: format as KvType }),
    printed: figure,
    of: total,
    source: "https://github.com/ggml-org/llama.cpp/pull/21551",
  }));

const qwen35Blocks = { kvCacheMemoryBytes: 1487 * 16 * 784 * 4096 };
const qwen36Mtp = modelShape("Qwen/Qwen3.6-27B", { nextTokenLayers: true });
const mtpRun = vllm(
  262_144,
  5.33,
  { mambaCacheMode: "align", numSpeculativeTokens: 3 },
  { format: "fp8_e4m3", sharding: { tensor: 2 } },
);
const prefixRun = vllm(131_072, 5.98, { mambaCacheMode: "align" }, { format: "fp8_e4m3" });

const FIGURES: readonly Published[] = [
  // Tables: bytes per token, and totals at a length.
  ...blogTable("meta-llama/Meta-Llama-3.1-8B", ["0.125 GiB", "1.95 GiB", "15.62 GiB"]),
  ...blogTable("meta-llama/Meta-Llama-3.1-70B", ["0.313 GiB", "4.88 GiB", "39.06 GiB"]),
  ...blogTable("meta-llama/Meta-Llama-3.1-405B", ["0.984 GiB", "15.38 GiB", "123.05 GiB"], early405B),
  { model: "openai-community/gpt2-xl", options: {}, printed: "300 KiB", of: perToken, source: HN },
  { model: "meta-llama/Meta-Llama-3-8B", options: {}, printed: "128 KiB", of: perToken, source: HN },
  { model: "deepseek-ai/DeepSeek-V3", options: {}, printed: "69 KiB", of: perToken, source: HN },
  {
    model: "meta-llama/Meta-Llama-3-70B",
    options: { tokens: 16_384, sharding: { tensor: 8 } },
    printed: "640 MiB",
    of: device,
    source: "https://github.com/TensorDirect/KVDirect/issues/2",
  },
  // One token, as long as every window has room.
  { model: "google/gemma-4-31B-it", options: { tokens: 1 }, printed: "880 KiB", of: total, source: CONFIGIQ },
  {
    model: "google/gemma-4-31B-it",
    options: { tokens: 1, format: "fp8_e4m3" },
    printed: "440 KiB",
    of: total,
    source: CONFIGIQ,
  },
  // llama.cpp's log lines.
  {
    model: "Qwen/Qwen2.5-32B",
    options: llamaCpp(32_768, { format: "q8_0" }),
    printed: "4352.00 MiB",
    of: total,
    source: "https://github.com/ggml-org/llama.cpp/issues/11200",
  },
  {
    model: "Qwen/Qwen2.5-32B",
    options: llamaCpp(32_768, { format: "q8_0" }),
    printed: "2176.00 MiB",
    of: inFigure("kv", "K (q8_0): "),
    source: "https://github.com/ggml-org/llama.cpp/issues/11200",
  },
  {
    model: "huggyllama/llama-30b",
    options: llamaCpp(512, { format: "fp32" }),
    printed: "1560.00 MiB",
    of: total,
    source: "https://github.com/abetlen/llama-cpp-python/issues/66",
  },
  {
    model: "deepseek-ai/DeepSeek-R1",
    options: llamaCpp(32_768, { format: "q8_0" }),
    printed: "1166.62 MiB",
    of: total,
    source: "https://github.com/ikawrakow/ik_llama.cpp/pull/259",
  },
  {
    model: "zai-org/GLM-5.2",
    options: llamaCpp(65_536, { format: "q8_0" }),
    printed: "178.50 MiB",
    of: inFigure("indexer", "K (q8_0): "),
    source: "https://github.com/ggml-org/llama.cpp/issues/26382",
  },
  {
    model: "google/gemma-4-E4B",
    options: llamaCpp(4096, { knobs: { swaFull: true } }),
    printed: "160.00 MiB",
    of: kindBytes("sliding"),
    source: GENIEX,
  },
  {
    model: "google/gemma-4-E4B",
    options: llamaCpp(4096, { knobs: { ubatchSize: 1024 } }),
    printed: "60.00 MiB",
    of: kindBytes("sliding"),
    source: GENIEX,
  },
  { model: "google/gemma-4-E4B", options: llamaCpp(4096), printed: "64.00 MiB", of: kindBytes("full"), source: GENIEX },
  {
    model: "google/gemma-3-270m",
    options: llamaCpp(1, { sequences: 3, knobs: { ctxSize: 1024 } }),
    printed: "27.0 MiB",
    of: total,
    source: UNSLOTH,
  },
  {
    model: "google/gemma-3-270m",
    options: llamaCpp(1, { sequences: 4, knobs: { ctxSize: 1024 } }),
    printed: "18.0 MiB",
    of: total,
    source: UNSLOTH,
  },
  {
    model: "Qwen/Qwen3.6-27B",
    options: llamaCpp(256, { sequences: 3 }),
    printed: "448.88 MiB",
    of: kindBytes("state"),
    source: TP_QUANTISED,
  },
  {
    model: "Qwen/Qwen3.6-27B",
    options: llamaCpp(256, { sequences: 3 }),
    printed: "16.88 MiB",
    of: inFigure("recurrent", "R (f32): "),
    source: TP_QUANTISED,
  },
  {
    model: "Qwen/Qwen3.6-27B",
    options: llamaCpp(256, { sequences: 3 }),
    printed: "432.00 MiB",
    of: inFigure("recurrent", "S (f32): "),
    source: TP_QUANTISED,
  },
  {
    model: "tiiuae/Falcon-H1-1.5B-Instruct",
    options: llamaCpp(32_768),
    printed: "768.00 MiB",
    of: kindBytes("full"),
    source: FALCON_H1,
  },
  {
    model: "tiiuae/Falcon-H1-1.5B-Instruct",
    options: llamaCpp(4096),
    printed: "96 MiB",
    of: kindBytes("full"),
    source: FALCON_H1,
  },
  {
    model: "tiiuae/Falcon-H1-1.5B-Instruct",
    options: llamaCpp(32_768),
    printed: "72.98 MiB",
    of: kindBytes("state"),
    source: FALCON_H1,
  },
  {
    model: "tiiuae/Falcon-H1-1.5B-Instruct",
    options: llamaCpp(32_768),
    printed: "840.98 MiB",
    of: total,
    source: FALCON_H1,
  },
  { model: "Qwen/Qwen2.5-1.5B", options: llamaCpp(4096), printed: "112 MiB", of: total, source: FALCON_H1 },
  { model: "Qwen/Qwen2.5-1.5B", options: llamaCpp(32_768), printed: "896 MiB", of: total, source: FALCON_H1 },
  {
    model: "state-spaces/mamba-1.4b-hf",
    options: llamaCpp(32_768),
    printed: "14.25 MiB",
    of: total,
    source: FALCON_H1,
  },
  {
    model: "state-spaces/mamba-2.8b-hf",
    options: llamaCpp(512),
    printed: "23.75 MiB",
    of: total,
    source: "https://github.com/ggml-org/llama.cpp/pull/5328",
  },
  ...run("Qwen/Qwen3.5-9B", llamaCpp(262_144), "https://github.com/ggml-org/llama.cpp/pull/22546", [
    ["8192.00 MiB", inFigure("kv", "size = ")],
    ["4096.00 MiB", inFigure("kv", "K (f16): ")],
    ["50.25 MiB", inFigure("recurrent", "size = ")],
    ["2.25 MiB", inFigure("recurrent", "R (f32): ")],
    ["48.00 MiB", inFigure("recurrent", "S (f32): ")],
  ]),
  ...run(
    "Qwen/Qwen3.5-35B-A3B",
    llamaCpp(168_192, { format: "q8_0", knobs: { rsSeq: 7 } }),
    "https://github.com/ggml-org/llama.cpp/pull/26499",
    [
      ["1745.16 MiB", inFigure("kv", "size = ")],
      ["872.58 MiB", inFigure("kv", "V (q8_0): ")],
      ["502.50 MiB", inFigure("recurrent", "size = ")],
      ["22.50 MiB", inFigure("recurrent", "R (f32): ")],
      ["480.00 MiB", inFigure("recurrent", "S (f32): ")],
    ],
  ),
  ...run("deepseek-ai/DeepSeek-V4-Flash", llamaCpp(4096), "https://github.com/ggml-org/llama.cpp/issues/27680", [
    ["1.31 MiB", inFigure("csa-state", "size = ")],
    ["10.00 MiB", inFigure("hca-state", "size = ")],
    ["0.33 MiB", inFigure("lid-state", "size = ")],
  ]),
  ...run("Qwen/Qwen2.5-0.5B", llamaCpp(512), "https://github.com/ggml-org/llama.cpp/issues/12968", [
    ["6.00 MiB", inFigure("kv", "size = ")],
    ["3.00 MiB", inFigure("kv", "K (f16): ")],
  ]),
  ...types("mistralai/Mistral-Small-24B-Instruct-2501", 6656, {
    fp16: "1040.00 MiB",
    q8_0: "552.50 MiB",
    q4_0: "292.50 MiB",
  }),
  ...types("Qwen/Qwen3-8B", 2560, {
    fp16: "360.00 MiB",
    q8_0: "191.25 MiB",
    q4_0: "101.25 MiB",
    iq4_nl: "101.25 MiB",
  }),
  // vLLM: from the budget in the log to the tokens and the concurrency beside it.
  {
    model: "Qwen/Qwen3-0.6B",
    options: { rule: "vllm", tokens: 652_144 },
    printed: "69.66 GiB",
    of: total,
    source: VLLM_24577,
  },
  {
    model: "Qwen/Qwen3-0.6B",
    options: vllm(4096, 0, { kvCacheMemoryBytes: 652_144 * 114_688 }),
    printed: "159.21 x",
    of: inFigure("Maximum concurrency"),
    source: VLLM_24577,
  },
  {
    model: "Qwen/Qwen3.6-35B-A3B",
    options: prefixRun,
    printed: "567,978 tokens",
    of: inFigure("GPU KV cache size"),
    source: CLUB_612,
  },
  {
    model: "Qwen/Qwen3.6-35B-A3B",
    options: prefixRun,
    printed: "4.33 x",
    of: inFigure("Maximum concurrency"),
    source: CLUB_612,
  },
  {
    model: "Qwen/Qwen3.6-27B",
    shape: qwen36Mtp,
    options: mtpRun,
    printed: "300,220 tokens",
    of: inFigure("GPU KV cache size"),
    source: CLUB_594,
  },
  {
    model: "Qwen/Qwen3.6-27B",
    shape: qwen36Mtp,
    options: mtpRun,
    printed: "1.15 x",
    of: inFigure("Maximum concurrency"),
    source: CLUB_594,
  },
  {
    model: "Qwen/Qwen3.5-27B",
    options: vllm(32_768, 0, qwen35Blocks),
    printed: "290,864 tokens",
    of: inFigure("GPU KV cache size (before"),
    source: VLLM_40691,
  },
  {
    model: "Qwen/Qwen3.5-27B",
    options: vllm(32_768, 0, qwen35Blocks),
    printed: "33.04 x",
    of: inFigure("Maximum concurrency"),
    source: VLLM_40691,
  },
  {
    model: "meta-llama/Meta-Llama-3.1-8B",
    options: { rule: "vllm", tokens: 1952 * 16 },
    printed: "3.81 GiB",
    of: total,
    source: VLLM_10517,
  },
  {
    model: "meta-llama/Meta-Llama-3.1-8B",
    options: { rule: "vllm", tokens: 23_648 },
    printed: "2.89 GiB",
    of: total,
    source: VLLM_10517,
  },
  {
    model: "meta-llama/Meta-Llama-3.1-8B",
    options: vllm(20_000, 0, { kvCacheMemoryBytes: 1952 * 16 * 131_072 }),
    printed: "1.56 x",
    of: inFigure("Maximum concurrency"),
    source: VLLM_10517,
  },
  {
    model: "meta-llama/Meta-Llama-3.1-8B",
    options: vllm(29_000, 0, { kvCacheMemoryBytes: 1478 * 16 * 131_072 }),
    printed: "0.82 x",
    of: inFigure("Maximum concurrency"),
    source: VLLM_10517,
  },
  {
    model: "meta-llama/Meta-Llama-3.1-70B",
    options: vllm(2048, 0, { kvCacheMemoryBytes: 1381 * 16 * 327_680 }),
    printed: "10.79 x",
    of: inFigure("Maximum concurrency"),
    source: "https://github.com/vllm-project/vllm/pull/12569",
  },
  {
    model: "mistralai/Mistral-Small-4",
    options: { rule: "vllm", tokens: 1_048_576 },
    printed: "22.5 GiB",
    of: inFigure("KV cache needed"),
    source: "https://github.com/kaito-project/kaito/issues/2132",
  },
  // Qwen3.8-27B, whose layers are those of Qwen3.6-27B.
  ...run(
    "Qwen/Qwen3.6-27B",
    vllm(131_072, 4.99, { mambaCacheMode: "align" }, { format: "fp8_e4m3", sharding: { tensor: 2 } }),
    "https://github.com/mitchross/talos-argocd-proxmox/pull/1995",
    [
      ["302,921 tokens", inFigure("GPU KV cache size")],
      ["2.31 x", inFigure("Maximum concurrency")],
      ["1568 tokens", inFigure("block_size")],
    ],
  ),
  // What one request of the length needs, and the lengths that were offered for 48.66 and 55.65 GiB.
  ...[
    [262_144, "62.00 GiB"],
    [205_728, "48.66 GiB"],
    [235_296, "55.65 GiB"],
  ].map(
    ([tokens, printed]): Published => ({
      model: "Qwen/Qwen3-Coder-480B-A35B-Instruct",
      options: { rule: "vllm", tokens: tokens as number },
      printed: printed as string,
      of: inFigure("KV cache needed"),
      source: "https://github.com/vllm-project/recipes/pull/12",
    }),
  ),
  {
    model: "Qwen/Qwen3-1.7B",
    options: { rule: "vllm", tokens: 175_856 },
    printed: "18.78 GiB",
    of: total,
    source: "https://github.com/vllm-project/vllm/issues/33263",
  },
  // TensorRT-LLM's log.
  {
    model: "meta-llama/Llama-2-7b-hf",
    options: { rule: "tensorrt-llm", tokens: 132_608 },
    printed: "69524783104 bytes",
    of: total,
    source: "https://github.com/NVIDIA/TensorRT-LLM/issues/1400",
  },
  // SGLang's log: its GB are GiB.
  {
    model: "moonshotai/Kimi-K2-Instruct",
    options: { rule: "sglang", tokens: 8050, sharding: { tensor: 8 } },
    printed: "0.53 GiB",
    of: inFigure("KV size"),
    source: "https://github.com/sgl-project/sglang/pull/13466",
  },
  {
    model: "Qwen/Qwen3-235B-A22B",
    options: { rule: "sglang", tokens: 367_404, sharding: { tensor: 4 } },
    printed: "8.23 GiB",
    of: inFigure("K size"),
    source: VLLM_SGLANG,
  },
  {
    model: "Qwen/Qwen3-235B-A22B",
    options: { rule: "sglang", tokens: 367_404, sharding: { tensor: 4 } },
    printed: "8.23 GiB",
    of: inFigure("V size"),
    source: VLLM_SGLANG,
  },
  {
    model: "deepseek-ai/DeepSeek-V3.2",
    options: { rule: "sglang", tokens: 975_424, format: "fp8_ds_mla", knobs: { pageSize: 64 } },
    printed: "43.67 GiB",
    of: inFigure("KV size"),
    source: SGLANG_DSA,
  },
  {
    model: "deepseek-ai/DeepSeek-V3.2",
    options: { rule: "sglang", tokens: 1_462_784, format: "fp8_ds_mla", knobs: { pageSize: 64 } },
    printed: "65.49 GiB",
    of: inFigure("KV size"),
    source: SGLANG_DSA,
  },
  {
    model: "zai-org/GLM-5.2",
    options: { rule: "sglang", tokens: 2_574_848, format: "fp8_e4m3" },
    printed: "132.43 GiB",
    of: inFigure("KV size"),
    source: "https://github.com/sgl-project/sglang/pull/30531",
  },
  ...swaPools(SGLANG_SWA, { maxTotalTokens: 375_360, pageSize: 64 }, ["8.38 GiB", "5.59 GiB"]),
  ...swaPools(SGLANG_MIMO, { maxTotalTokens: 1_496_958, swaFullTokensRatio: 1 }, [
    "41.76 GiB",
    "27.84 GiB",
    "4.82 GiB",
    "3.21 GiB",
    "77.63 GiB",
  ]),
  {
    model: "XiaomiMiMo/MiMo-V2-Flash",
    options: { rule: "sglang", tokens: 1, knobs: { maxTotalTokens: 375_360, pageSize: 64 } },
    printed: "300288 tokens",
    of: inFigure("#tokens (windows)"),
    source: SGLANG_SWA,
  },
  // The memory that vLLM's error asks for, and the length that it offers instead for 5.44 GiB.
  ...[
    [30_000, "6.66 GiB"],
    [13_528, "5.44 GiB"],
  ].map(
    ([tokens, printed]): Published => ({
      model: "deepseek-ai/DeepSeek-V4-Flash",
      options: { rule: "vllm", tokens: tokens as number, format: "fp8_e4m3", knobs: { maxNumBatchedTokens: 16_384 } },
      printed: printed as string,
      of: inFigure("KV cache needed"),
      source: "https://github.com/vllm-project/vllm/issues/44376",
    }),
  ),
  // A pool of another engine with the same rows.
  { model: "Qwen/Qwen3-1.7B", options: { tokens: 27_142 }, printed: "2.90 GiB", of: total, source: FREETOKEN },
  {
    model: "Qwen/Qwen3-1.7B",
    options: { tokens: 54_284, format: "fp8_e4m3" },
    printed: "2.90 GiB",
    of: total,
    source: FREETOKEN,
  },
];

/** The largest difference that printing with these digits can hide. */
function rounding(digits: string): number {
  const decimals = digits.split(".")[1]?.length ?? 0;
  return 0.5 * 10 ** -decimals;
}

test("there are enough of them, and each has a source", () => {
  expect(FIGURES.length).toBeGreaterThanOrEqual(98);
  for (const { source } of FIGURES) expect(source).toMatch(/^https:\/\//);
});

describe.each(FIGURES)("$model: $printed ($source)", ({ model, options, printed, of, shape }) => {
  test("is reproduced to its rounding", () => {
    const [digits, unit] = printed.replaceAll(",", "").split(" ") as [string, string];
    const value = of(sizeReport(shape ?? modelShape(model), options)) / (UNITS[unit] as number);
    expect(Math.abs(value - Number(digits))).toBeLessThanOrEqual(rounding(digits) * (1 + 1e-9));
  });
});
