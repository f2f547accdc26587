// The table of docs/what-others-get-wrong.md: what a published formula gives for a model, and what the model takes.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { growthBytesPerToken, sizeOf, windowlessBytesPerToken } from "../src/cache-size.ts";
import { resolveFormat } from "../src/format.ts";
import { sizeReport } from "../src/size-report.ts";
import { MODELS, modelShape } from "./models.ts";

const PAGE = readFileSync(new URL("../../../docs/what-others-get-wrong.md", import.meta.url), "utf8");
const MiB = 2 ** 20;

interface Row {
  readonly mistake: string;
  readonly model: string;
  /** What the formula of the source gives, from the values that it reads. */
  readonly theirs: (value: (key: string) => number) => number;
  /** What the source prints, where it prints a figure. */
  readonly printed?: number;
  readonly right: () => number;
  readonly source: string;
}

const fp16 = resolveFormat("fp16");
const perToken = (model: string) => () => growthBytesPerToken(modelShape(model), fp16);
const perTokenInWindow = (model: string) => () => windowlessBytesPerToken(modelShape(model), fp16);
const onOneDevice = (model: string, tensor: number) => () =>
  sizeOf(modelShape(model), { tokens: 1, sharding: { tensor } }).largestDeviceBytes;

const ROWS: readonly Row[] = [
  {
    mistake: "head size taken as hidden size / heads",
    model: "Qwen/Qwen3-32B",
    theirs: (value) =>
      2 *
      value("num_hidden_layers") *
      value("num_key_value_heads") *
      (value("hidden_size") / value("num_attention_heads")) *
      2,
    printed: 163_840,
    right: perToken("Qwen/Qwen3-32B"),
    source: "https://github.com/QingyaFan/blog/issues/190",
  },
  {
    mistake: "the same, too high",
    model: "mistralai/Mistral-Small-24B-Instruct-2501",
    theirs: (value) =>
      2 *
      value("num_hidden_layers") *
      value("num_key_value_heads") *
      (value("hidden_size") / value("num_attention_heads")) *
      2,
    right: perToken("mistralai/Mistral-Small-24B-Instruct-2501"),
    source: "https://github.com/NVIDIA/Model-Optimizer/issues/2482",
  },
  {
    mistake: "the hidden size instead of the KV heads, 8 bytes per element",
    model: "Qwen/Qwen2.5-7B",
    theirs: (value) => 2 * value("hidden_size") * value("num_hidden_layers") * 8,
    right: perToken("Qwen/Qwen2.5-7B"),
    source: "https://github.com/vllm-project/vllm/issues/22291",
  },
  {
    mistake: "heads counted twice: once alone, once in the hidden size",
    model: "meta-llama/Llama-2-7b-hf",
    theirs: (value) => (2 * value("num_hidden_layers") * value("num_attention_heads") * value("hidden_size") * 4) / 8,
    right: perToken("meta-llama/Llama-2-7b-hf"),
    source: "https://github.com/jranaraki/vllm-fit/issues/2",
  },
  {
    mistake: "one head's keys and values taken for the layer's",
    model: "meta-llama/Llama-2-7b-hf",
    theirs: (value) => 2 * 128 * 2 * value("num_hidden_layers"),
    right: perToken("meta-llama/Llama-2-7b-hf"),
    source: "https://github.com/rohitg00/ai-engineering-from-scratch/pull/57",
  },
  {
    mistake: "the latent counted for keys and for values, its rotary key left out",
    model: "deepseek-ai/DeepSeek-V3",
    theirs: (value) => 2 * value("num_hidden_layers") * value("kv_lora_rank") * 2,
    right: perToken("deepseek-ai/DeepSeek-V3"),
    source: "https://github.com/LMCache/LMCache/pull/694",
  },
  {
    mistake: "keys and values of every head instead of the latent",
    model: "deepseek-ai/DeepSeek-V3",
    theirs: (value) =>
      value("num_hidden_layers") *
      value("num_attention_heads") *
      (value("qk_nope_head_dim") + value("qk_rope_head_dim") + value("v_head_dim")) *
      2,
    right: perToken("deepseek-ai/DeepSeek-V3"),
    source: "https://github.com/gpustack/gguf-parser-go/issues/8",
  },
  {
    mistake: "every layer of a hybrid counted as attention (64 tokens)",
    model: "Qwen/Qwen3.6-35B-A3B",
    theirs: (value) => 64 * 2 * value("num_hidden_layers") * value("num_key_value_heads") * value("head_dim") * 2,
    printed: 5 * MiB,
    right: () => 64 * growthBytesPerToken(modelShape("Qwen/Qwen3.6-35B-A3B"), fp16),
    source: "https://github.com/jundot/omlx/issues/2725",
  },
  {
    mistake: "every layer of a hybrid counted as attention, feed-forward blocks included",
    model: "nvidia/NVIDIA-Nemotron-3-Super-120B-A12B-FP8",
    theirs: (value) => 2 * 88 * value("num_key_value_heads") * value("head_dim") * 2,
    right: perToken("nvidia/NVIDIA-Nemotron-3-Super-120B-A12B-FP8"),
    source: "https://github.com/ai-dynamo/aisimulate/pull/176",
  },
  {
    mistake: "windowed layers counted at full length (131,072 tokens)",
    model: "openai/gpt-oss-20b",
    theirs: (value) => 131_072 * 2 * value("num_hidden_layers") * value("num_key_value_heads") * value("head_dim") * 2,
    printed: 6 * 2 ** 30,
    right: () => sizeOf(modelShape("openai/gpt-oss-20b"), { tokens: 131_072 }).totalBytes,
    source: "https://github.com/gpustack/gguf-parser-go/issues/32",
  },
  {
    mistake: "windowed layers left out, at a length that still fills them",
    model: "openai/gpt-oss-120b",
    theirs: (value) => 2 * 18 * value("num_key_value_heads") * value("head_dim") * 2,
    printed: 36_864,
    right: perTokenInWindow("openai/gpt-oss-120b"),
    source: "https://github.com/alvarobartt/hf-mem/issues/60",
  },
  {
    mistake: "the first token's bytes taken as the rate of every token (131,072 tokens)",
    model: "google/gemma-3-27b-it",
    theirs: () => 131_072 * windowlessBytesPerToken(modelShape("google/gemma-3-27b-it"), fp16),
    right: () => sizeOf(modelShape("google/gemma-3-27b-it"), { tokens: 131_072 }).totalBytes,
    source: "https://github.com/ai-dynamo/aiconfigurator/pull/1201",
  },
  {
    mistake: "layers that read another layer's cache counted too",
    model: "google/gemma-3n-E4B-it",
    theirs: (value) => 2 * value("num_hidden_layers") * value("num_key_value_heads") * value("head_dim") * 2,
    right: perTokenInWindow("google/gemma-3n-E4B-it"),
    source: "https://github.com/unslothai/unsloth/pull/5225",
  },
  {
    mistake: "a block's 34 bytes taken for each of its 32 elements (q8_0, 32,768 tokens, llama.cpp)",
    model: "Qwen/Qwen2.5-32B",
    theirs: (value) => 32_768 * 2 * value("num_hidden_layers") * value("num_key_value_heads") * 128 * 34,
    right: () =>
      sizeReport(modelShape("Qwen/Qwen2.5-32B"), { rule: "llama.cpp", tokens: 32_768, format: "q8_0" }).totalBytes,
    source: "https://github.com/withcatai/node-llama-cpp/pull/608",
  },
  {
    mistake: "the latent divided among 4 tensor-parallel ranks, each of which holds it whole (one rank)",
    model: "deepseek-ai/DeepSeek-V2-Lite",
    theirs: (value) => (value("num_hidden_layers") * (value("kv_lora_rank") + value("qk_rope_head_dim")) * 2) / 4,
    right: onOneDevice("deepseek-ai/DeepSeek-V2-Lite", 4),
    source: "https://github.com/tenstorrent/tt-xla/issues/5861",
  },
  {
    mistake: "8 KV heads divided among 32 ranks, where each head has 4 copies (one rank)",
    model: "meta-llama/Meta-Llama-3-70B",
    theirs: (value) => (2 * value("num_hidden_layers") * value("num_key_value_heads") * 128 * 2) / 32,
    right: onOneDevice("meta-llama/Meta-Llama-3-70B", 32),
    source: "https://github.com/tenstorrent/vllm/pull/50",
  },
  {
    mistake: "all KV heads counted on each of 4 ranks (one rank)",
    model: "Qwen/Qwen3-32B",
    theirs: (value) => 2 * value("num_hidden_layers") * value("num_key_value_heads") * value("head_dim") * 2,
    right: onOneDevice("Qwen/Qwen3-32B", 4),
    source: "https://github.com/huggingface/transformers/pull/48566",
  },
];

/** Reads a key of the model's file, wherever the file nests it. */
function configValues(model: string): (key: string) => number {
  const config = MODELS.find(({ id }) => id === model)?.config ?? {};
  const text = (config["text_config"] ?? {}) as Readonly<Record<string, unknown>>;
  return (key) => Number(config[key] ?? text[key]);
}

describe.each(ROWS)("$model: $mistake", ({ model, mistake, theirs, printed, right, source }) => {
  const theirBytes = theirs(configValues(model));

  test("their formula is wrong, by what the page says", () => {
    if (printed !== undefined) expect(theirBytes).toBe(printed);
    expect(Number.isSafeInteger(theirBytes)).toBe(true);
    expect(theirBytes).not.toBe(right());
    const [thread] = source.split("https://github.com/").slice(-1) as [string];
    const cells = [
      mistake,
      model,
      theirBytes.toLocaleString("en"),
      right().toLocaleString("en"),
      `${(theirBytes / right()).toPrecision(3)} ×`,
      `[${thread.replace(/\/(issues|pull)\//, "#")}](${source})`,
    ];
    expect(PAGE).toContain(`| ${cells.join(" | ")} |`);
  });
});
