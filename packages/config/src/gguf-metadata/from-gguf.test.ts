import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { modelShape } from "../../test/models.ts";
import { growthBytesPerToken, sizeOf, stateBytesPerSequence, windowBytes } from "../cache-size.ts";
import type { ModelShape } from "../model-shape.ts";
import { fromGguf, supportedArchitectures } from "./from-gguf.ts";

type Metadata = Readonly<Record<string, unknown>>;

/** Metadata with the architecture's prefix before each key. */
const of = (architecture: string, keys: Metadata): Metadata => ({
  "general.architecture": architecture,
  ...Object.fromEntries(Object.entries(keys).map(([key, value]) => [`${architecture}.${key}`, value])),
});

const every = (count: number, value: (index: number) => number | boolean): (number | boolean)[] =>
  Array.from({ length: count }, (_, index) => value(index));

/** DeepSeek-V4-Flash's: two windows, then 4 and 128 in turn, and a window for the layer that predicts further tokens. */
const V4_RATIOS = [0, 0, ...every(41, (index) => (index % 2 === 0 ? 4 : 128)), 0];

/** Keys of latents, the same in most files. */
const LATENT = {
  "attention.head_count_kv": 1,
  "attention.key_length": 576,
  "attention.value_length": 512,
  "attention.kv_lora_rank": 512,
  "attention.key_length_mla": 192,
  "attention.value_length_mla": 128,
  "rope.dimension_count": 64,
};
const INDEXER = { "attention.indexer.head_count": 32, "attention.indexer.key_length": 128 };

/** The same models as files say them in both worlds. */
const PAIRS: readonly (readonly [string, Metadata])[] = [
  [
    "deepseek-ai/DeepSeek-V4-Flash",
    of("deepseek4", {
      block_count: 43,
      nextn_predict_layers: 1,
      "attention.head_count": 64,
      "attention.head_count_kv": 1,
      "attention.key_length": 512,
      "attention.value_length": 512,
      "attention.sliding_window": 128,
      "attention.indexer.head_count": 64,
      "attention.indexer.key_length": 128,
      "attention.compress_ratios": V4_RATIOS,
    }),
  ],
  [
    "meta-llama/Meta-Llama-3-8B",
    of("llama", { block_count: 32, embedding_length: 4096, "attention.head_count": 32, "attention.head_count_kv": 8 }),
  ],
  [
    "google/gemma-3-27b-it",
    of("gemma3", {
      block_count: 62,
      "attention.head_count": 32,
      "attention.head_count_kv": 16,
      "attention.key_length": 128,
      "attention.value_length": 128,
      "attention.sliding_window": 1024,
    }),
  ],
  [
    "google/gemma-4-31B-it",
    of("gemma4", {
      block_count: 60n,
      "attention.head_count": 32,
      "attention.head_count_kv": every(60, (index) => ((index + 1) % 6 === 0 ? 4 : 16)),
      "attention.key_length": 512,
      "attention.value_length": 512,
      "attention.key_length_swa": 256,
      "attention.value_length_swa": 256,
      "attention.sliding_window": 1024n,
      "attention.sliding_window_pattern": every(60, (index) => (index + 1) % 6 !== 0),
      "attention.shared_kv_layers": 0,
    }),
  ],
  [
    "google/gemma-3n-E4B-it",
    of("gemma3n", {
      block_count: 35,
      "attention.head_count": 8,
      "attention.head_count_kv": 2,
      "attention.key_length": 256,
      "attention.value_length": 256,
      "attention.sliding_window": 512,
      "attention.shared_kv_layers": 15,
    }),
  ],
  [
    "meta-llama/Llama-4-Scout-17B-16E-Instruct",
    of("llama4", { block_count: 48, embedding_length: 5120, "attention.head_count": 40, "attention.head_count_kv": 8 }),
  ],
  [
    "deepseek-ai/DeepSeek-V3",
    of("deepseek2", {
      block_count: 61,
      "attention.head_count": 128,
      "attention.head_count_kv": 1,
      "attention.key_length": 576,
      "attention.value_length": 512,
      "attention.key_length_mla": 192,
      "attention.value_length_mla": 128,
      "attention.kv_lora_rank": 512,
      "rope.dimension_count": 64,
    }),
  ],
  [
    "zai-org/GLM-4.5-Air",
    of("glm4moe", {
      block_count: 47,
      nextn_predict_layers: 1,
      "attention.head_count": 96,
      "attention.head_count_kv": 8,
      "attention.key_length": 128,
      "attention.value_length": 128,
    }),
  ],
  [
    "Qwen/Qwen3-Next-80B-A3B-Instruct",
    of("qwen3next", {
      block_count: 48,
      "attention.head_count": 16,
      "attention.head_count_kv": 2,
      "attention.key_length": 256,
      "attention.value_length": 256,
      "ssm.conv_kernel": 4,
      "ssm.state_size": 128,
      "ssm.group_count": 16,
      "ssm.time_step_rank": 32,
      "ssm.inner_size": 4096,
    }),
  ],
  [
    "ai21labs/Jamba-v0.1",
    of("jamba", {
      block_count: 32,
      embedding_length: 4096,
      "attention.head_count": 32,
      "attention.head_count_kv": every(32, (index) => (index % 8 === 4 ? 8 : 0)),
      "ssm.conv_kernel": 4,
      "ssm.state_size": 16,
      "ssm.inner_size": 8192,
    }),
  ],
  [
    "tiiuae/Falcon-H1-1.5B-Instruct",
    of("falcon-h1", {
      block_count: 24,
      "attention.head_count": 8,
      "attention.head_count_kv": 2,
      "attention.key_length": 128,
      "attention.value_length": 128,
      "ssm.conv_kernel": 4,
      "ssm.state_size": 256,
      "ssm.group_count": 1,
      "ssm.inner_size": 3072,
    }),
  ],
  [
    "deepseek-ai/DeepSeek-V3.2",
    of("deepseek32", { ...LATENT, block_count: 61, "attention.head_count": 128, ...INDEXER }),
  ],
  [
    "zai-org/GLM-5.2",
    of("glm-dsa", {
      ...LATENT,
      ...INDEXER,
      block_count: 79,
      nextn_predict_layers: 1,
      context_length: 1_048_576,
      "attention.head_count": 64,
    }),
  ],
  ["zai-org/GLM-5.1", of("glm-dsa", { ...LATENT, ...INDEXER, block_count: 78, "attention.head_count": 64 })],
  [
    "mistralai/Mistral-Small-4",
    of("mistral4", { ...LATENT, block_count: 36, "attention.head_count": 32, "attention.kv_lora_rank": 256 }),
  ],
  [
    "LiquidAI/LFM2-1.2B",
    of("lfm2", {
      block_count: 16,
      embedding_length: 2048,
      "attention.head_count": 32,
      "attention.head_count_kv": every(16, (index) => ([2, 5, 8, 10, 12, 14].includes(index) ? 8 : 0)),
      "shortconv.l_cache": 3,
    }),
  ],
  [
    "moonshotai/Kimi-Linear-48B-A3B-Instruct",
    of("kimi-linear", {
      block_count: 27,
      "attention.head_count": 32,
      "attention.head_count_kv": every(27, (index) => (index % 4 === 3 || index === 26 ? 1 : 0)),
      "attention.kv_lora_rank": 512,
      "attention.key_length_mla": 192,
      "attention.value_length_mla": 128,
      "rope.dimension_count": 64,
      "kda.head_dim": 128,
      "ssm.conv_kernel": 4,
    }),
  ],
  [
    "state-spaces/mamba-2.8b-hf",
    of("mamba", { block_count: 64, "ssm.conv_kernel": 4, "ssm.state_size": 16, "ssm.inner_size": 5120 }),
  ],
  [
    "google-t5/t5-11b",
    of("t5", {
      block_count: 24,
      decoder_block_count: 24,
      "attention.head_count": 128,
      "attention.key_length": 128,
      "attention.value_length": 128,
    }),
  ],
];

describe.each(PAIRS)("%s", (id, metadata) => {
  test("is the same model as its config.json", () => {
    const [gguf, huggingFace] = [fromGguf(metadata), modelShape(id)];
    expect(growthBytesPerToken(gguf)).toBe(growthBytesPerToken(huggingFace));
    expect(windowBytes(gguf)).toBe(windowBytes(huggingFace));
    expect(stateBytesPerSequence(gguf)).toBe(stateBytesPerSequence(huggingFace));
    expect(gguf.layers.map(({ kind, index }) => `${kind} ${index}`)).toEqual(
      huggingFace.layers.map(({ kind, index }) => `${kind} ${index}`),
    );
  });
});

test("layers for further tokens are left out, whether a DeepSeek-V4 file counts them or not", () => {
  const keys = {
    nextn_predict_layers: 1,
    "attention.key_length": 512,
    "attention.sliding_window": 128,
    "attention.indexer.key_length": 128,
    "attention.compress_ratios": V4_RATIOS,
  };
  const numLayers = (blocks: number): number =>
    fromGguf(of("deepseek4", { ...keys, block_count: blocks })).layers.length;
  expect([numLayers(43), numLayers(44)]).toEqual([43, 43]);
  expect(() => numLayers(50)).toThrow("deepseek4.attention.compress_ratios must be a list of 49");
  const odd = { ...keys, block_count: 44, "attention.compress_ratios": [16, ...V4_RATIOS.slice(1)] };
  expect(() => fromGguf(of("deepseek4", odd))).toThrow("deepseek4.attention.compress_ratios[0] is 16");
});

test("GLM's indexers are those that the file lists", () => {
  const shape = (types: readonly unknown[]): ModelShape =>
    fromGguf(
      of("glm-dsa", {
        ...LATENT,
        ...INDEXER,
        block_count: 4,
        "attention.head_count": 64,
        "attention.indexer.types": types,
      }),
    );
  expect(growthBytesPerToken(shape([true, false, 0, 1]))).toBe(4 * 1152 + 2 * 256);
  expect(() => shape([true, false, true, 2])).toThrow("glm-dsa.attention.indexer.types[3]");
  expect(() => shape([true])).toThrow("glm-dsa.attention.indexer.types");
});

test("OCR files and PLM store keys and values per head, latent or not", () => {
  const keys = { block_count: 12, embedding_length: 1280, "attention.head_count": 10, "attention.kv_lora_rank": 512 };
  for (const architecture of ["deepseek2-ocr", "plm"]) {
    expect(growthBytesPerToken(fromGguf(of(architecture, keys)))).toBe(12 * 2 * 1280 * 2);
    expect(() => fromGguf(of(architecture, { ...keys, "attention.sliding_window": 128 }))).toThrow("sliding_window");
  }
});

test("of EXAONE's mixture every fourth layer is full", () => {
  const shape = fromGguf(
    of("exaone-moe", {
      block_count: 49,
      nextn_predict_layers: 1,
      "attention.head_count": 64,
      "attention.head_count_kv": 8,
      "attention.key_length": 128,
      "attention.value_length": 128,
      "attention.sliding_window": 128,
    }),
  );
  expect(shape.layers.filter(({ kind }) => kind === "full").map(({ index }) => index)).toEqual(
    Array.from({ length: 12 }, (_, i) => 4 * i + 3),
  );
  expect(windowBytes(shape)).toBe(36 * 128 * 4096);
});

test("files from before latent attention store keys and values per head", () => {
  const shape = fromGguf(
    of("deepseek2", {
      block_count: 61,
      "attention.head_count": 128,
      "attention.head_count_kv": 128,
      "attention.key_length": 192,
      "attention.value_length": 128,
      "attention.kv_lora_rank": 512,
    }),
  );
  expect(growthBytesPerToken(shape)).toBe(4_997_120);
  expect(shape.assumptions[0]).toContain("key_length_mla");
});

test.each([
  [{}, "general.architecture"],
  [{ "general.architecture": "warp" }, "general.architecture"],
  [of("llama", {}), "llama.block_count"],
  [of("llama", { block_count: 2, embedding_length: 4096, "attention.head_count": 3 }), "llama.attention.key_length"],
  [of("llama", { block_count: 2, "attention.head_count_kv": [8] }), "llama.attention.head_count_kv"],
  [of("llama", { block_count: 2, "attention.head_count_kv": [8, -8] }), "llama.attention.head_count_kv[1]"],
  [
    of("llama", { block_count: 2, embedding_length: 64, "attention.head_count": 2, "attention.sliding_window": 128 }),
    "llama.attention.sliding_window",
  ],
  [
    of("gemma4", { block_count: 2, embedding_length: 64, "attention.head_count": 2, "attention.sliding_window": 8 }),
    "gemma4.attention.sliding_window_pattern",
  ],
])("refuses and names the key: %#", (metadata, key) => {
  expect(() => fromGguf(metadata)).toThrow(key);
});

test("a change anywhere is read or refused, never NaN", () => {
  const value = fc.oneof(fc.jsonValue(), fc.double(), fc.bigInt(), fc.array(fc.integer({ min: -2, max: 9 })));
  const mutation = fc
    .constantFrom(...PAIRS)
    .chain(([, metadata]) => fc.tuple(fc.constant(metadata), fc.constantFrom(...Object.keys(metadata)), value));
  fc.assert(
    fc.property(mutation, ([metadata, key, changed]) => {
      try {
        const bytes = sizeOf(fromGguf({ ...metadata, [key]: changed }), { tokens: 4096 }).totalBytes;
        expect(Number.isSafeInteger(bytes) && bytes >= 0).toBe(true);
      } catch (error) {
        expect(["INVALID_CONFIG", "UNSUPPORTED_MODEL", "SIZE_OVERFLOW"]).toContain((error as { code?: string }).code);
      }
    }),
    { numRuns: 2000 },
  );
});

test("names its architectures", () => {
  expect(supportedArchitectures()).toContain("llama");
  expect(supportedArchitectures().length).toBeGreaterThan(70);
});
