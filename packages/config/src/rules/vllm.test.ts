import { describe, expect, test } from "vitest";
import { modelShape } from "../../test/models.ts";
import type { KvFormatInput } from "../format.ts";
import type { ModelShape } from "../model-shape.ts";
import { type SizeOptions, type SizeReport, sizeReport } from "../size-report.ts";

const LLAMA = "meta-llama/Meta-Llama-3-8B";
const GEMMA = "google/gemma-3-27b-it";
const QWEN_NEXT = "Qwen/Qwen3-Next-80B-A3B-Instruct";

function sized(model: string, options: SizeOptions): SizeReport {
  return sizeReport(modelShape(model), { rule: "vllm", ...options });
}

const figure = ({ figures }: SizeReport, name: string): string | undefined =>
  figures.find((each) => each.name === name)?.value;

describe("one kind of layer", () => {
  test("is one group of blocks", () => {
    const report = sized(LLAMA, { tokens: 100 });
    expect(report.totalBytes).toBe(7 * 16 * 131_072);
    expect(figure(report, "num_gpu_blocks")).toBe("7");
    expect(sized(LLAMA, { tokens: 100, knobs: { blockSize: 128 } }).totalBytes).toBe(128 * 131_072);
    expect(sized(LLAMA, { tokens: 100, tokensPerBlock: 32 }).totalBytes).toBe(128 * 131_072);
  });

  test("gives the log's figures for a budget", () => {
    const report = sized(LLAMA, { tokens: 8192, knobs: { kvCacheMemoryBytes: 10 * 2 ** 30 } });
    expect(figure(report, "num_gpu_blocks")).toBe("5120");
    expect(figure(report, "GPU KV cache size")).toBe("81,920 tokens");
    expect(figure(report, "Maximum concurrency for 8,192 tokens per request")).toBe("10.00x");
    expect(figure(report, "KV cache needed for one request of max_model_len")).toBe("1.00 GiB");
  });
});

describe("windows", () => {
  test("hold the window, what is in flight, and one page more", () => {
    const pages = (knobs: Record<string, unknown>): number => {
      const { layers } = sized(GEMMA, { tokens: 131_072, knobs: { maxNumBatchedTokens: 2048, ...knobs } });
      return (layers.find(({ kind }) => kind === "sliding")?.bytes ?? 0) / (52 * 16 * 8192);
    };
    expect(pages({})).toBe(Math.ceil((1023 + 2048) / 16) + 1);
    expect(pages({ asyncScheduling: true })).toBe(Math.ceil((1023 + 4096) / 16) + 1);
    expect(pages({ disableHybridKvCacheManager: true })).toBe(131_072 / 16);
  });

  test("share one pool with full layers, in groups of equal size", () => {
    // 10 full layers make one group; 52 windowed ones make six, padded to 10 layers each.
    const report = sized(GEMMA, { tokens: 131_072, knobs: { maxNumBatchedTokens: 2048 } });
    const pages = 131_072 / 16 + 6 * (Math.ceil(3071 / 16) + 1);
    expect(report.bytesPerSequence).toBe(pages * 16 * 10 * 8192);
    expect(figure(report, "num_gpu_blocks")).toBe(String(pages));
  });
});

describe("recurrent layers", () => {
  test("raise the block until its page holds a state", () => {
    const report = sized(QWEN_NEXT, { tokens: 65_536 });
    const statePage = 8192 * 3 * 2 + 524_288 * 2;
    const block = 16 * Math.ceil(statePage / (16 * 2048));
    expect(figure(report, "block_size")).toBe(String(block));
  });

  test("take the state's dtype from the knob, the model, or the model's dtype", () => {
    const block = (model: string, knobs: Record<string, unknown> = {}): number =>
      Number(figure(sized(model, { knobs }), "block_size"));
    expect(block(QWEN_NEXT, { mambaSsmCacheDtype: "fp32" })).toBeGreaterThan(block(QWEN_NEXT));
    expect(modelShape("Qwen/Qwen3.5-27B").stateDtype).toBe("fp32");
    expect(block("Qwen/Qwen3.5-27B", { mambaSsmCacheDtype: "bf16" })).toBeLessThan(block("Qwen/Qwen3.5-27B"));
    const format = { keys: "fp16", state: "fp16" } as const;
    const formatted = sized(QWEN_NEXT, { format, knobs: { mambaSsmCacheDtype: "format" } });
    expect(Number(figure(formatted, "block_size"))).toBe(block(QWEN_NEXT));
  });

  test("of Nemotron-H are fp32 unless the file or the knob says otherwise", () => {
    const model = { ...modelShape("nvidia/Nemotron-H-8B-Base-8K"), stateDtype: null };
    const block = (shape: ModelShape, knobs = {}): number =>
      Number(figure(sizeReport(shape, { rule: "vllm", tokens: 8192, knobs }), "block_size"));
    expect(block(model)).toBe(block(model, { mambaSsmCacheDtype: "fp32" }));
    expect(block({ ...model, stateDtype: "bf16" })).toBeLessThan(block(model));
    expect(block({ ...model, modelType: "bamba" })).toBeLessThan(block(model));
  });

  test("hold one page, one more to align with prefixes, and one for each speculated token", () => {
    const pages = (knobs: Record<string, unknown>): number => {
      const { layers, figures } = sized(QWEN_NEXT, { tokens: 65_536, knobs });
      const block = Number(figures.find(({ name }) => name === "block_size")?.value);
      return (layers.find(({ kind }) => kind === "state")?.bytes ?? 0) / (36 * block * 2048);
    };
    expect(pages({})).toBe(1);
    expect(pages({ mambaCacheMode: "align" })).toBe(2);
    expect(pages({ numSpeculativeTokens: 2 })).toBe(3);
  });
});

describe("layers with a type of their own", () => {
  test("count as such, the first layer too", () => {
    const exempt = (exemptLayers: readonly number[]): number =>
      sized(LLAMA, { tokens: 16, format: { keys: "fp8_e4m3", exemptLayers } }).totalBytes;
    expect(exempt([])).toBe(16 * 65_536);
    expect(exempt([0, 31])).toBe(16 * (65_536 + 2 * 2048));
    const { layers } = sized(LLAMA, { tokens: 16, format: { keys: "fp8_e4m3", exemptLayers: [0] } });
    expect(layers.reduce((total, { bytes }) => total + bytes, 0)).toBe(exempt([0]));
  });
});

describe("parallelism", () => {
  test("gives each rank its heads, at least one", () => {
    const device = (tensor: number): number => sized(LLAMA, { tokens: 16, sharding: { tensor } }).largestDeviceBytes;
    expect([1, 2, 8, 16].map(device)).toEqual([1, 2, 8, 8].map((parts) => (16 * 131_072) / parts));
    expect(() => device(3)).toThrow(expect.objectContaining({ field: "sharding.tensor" }));
  });

  test("splits tokens of a request by decode context parallelism", () => {
    const one = sized(LLAMA, { tokens: 8192 });
    const four = sized(LLAMA, { tokens: 8192, sharding: { context: 4 } });
    expect(four.largestDeviceBytes * 4).toBe(one.largestDeviceBytes);
  });

  test("leaves the blocks to the stage with most bytes", () => {
    const knobs = { kvCacheMemoryBytes: 2 ** 30 };
    const report = sized("deepseek-ai/DeepSeek-V3", { tokens: 4096, knobs, sharding: { pipeline: 4 } });
    expect(figure(report, "num_gpu_blocks")).toBe(String(Math.floor(2 ** 30 / (16 * 16 * 1152))));
  });
});

test("fp8_ds_mla takes 656 bytes, an indexer's keys 132, on every rank", () => {
  const { bytesPerToken, largestDeviceBytes } = sized("deepseek-ai/DeepSeek-V3.2", {
    tokens: 64,
    format: "fp8_ds_mla",
    sharding: { tensor: 8 },
    knobs: { blockSize: 64 },
  });
  expect(bytesPerToken).toBe(8 * 61 * (656 + 132));
  expect(largestDeviceBytes).toBe(64 * 61 * (656 + 132));
});

describe("a sparse indexer", () => {
  const GLM = "zai-org/GLM-5.2";

  test("has keys of 132 bytes with a latent of any type, 68 as mxfp4, in the layers that own one", () => {
    const perToken = (format: KvFormatInput): number => sized(GLM, { tokens: 64, format }).bytesPerToken;
    expect(perToken("bf16")).toBe(78 * 1152 + 21 * 132);
    expect(perToken({ keys: "bf16", indexer: "mxfp4" })).toBe(78 * 1152 + 21 * 68);
    expect(sized(GLM, { tokens: 64 }).assumptions.join()).toContain("132 bytes");
    expect(figure(sized(GLM, { tokens: 64 }), "block_size")).toBe("64");
  });

  test("makes an fp8 latent one of 656 bytes", () => {
    const { bytesPerToken, assumptions } = sized(GLM, { tokens: 64, format: "fp8_e4m3" });
    expect(bytesPerToken).toBe(78 * 656 + 21 * 132);
    expect(assumptions.join()).toContain("fp8_ds_mla");
  });

  test("beside grouped-query attention has keys of the model's own type", () => {
    const { bytesPerToken } = sized("MiniMaxAI/MiniMax-M3", { tokens: 16, format: "fp8_e4m3" });
    expect(bytesPerToken).toBe(60 * 2 * 4 * 128 + 57 * 128 * 2);
  });
});

test("cross attention takes pages for the encoder's tokens", () => {
  const { layers } = sized("openai/whisper-tiny", { tokens: 448 });
  expect(layers.map(({ kind, count }) => [kind, count])).toEqual([
    ["full", 4],
    ["cross", 4],
  ]);
  expect(layers[1]?.bytes).toBe(4 * Math.ceil(1500 / 16) * 16 * 2 * 384 * 2);
});

test.each(["google-t5/t5-small", "facebook/bart-large", "meta-llama/Llama-3.2-11B-Vision-Instruct"])(
  "%s is not run, and the refusal says so",
  (model) => {
    expect(() => sized(model, { tokens: 100 })).toThrow(/^vllm \(V1 engine.*\) does not run .* kept Whisper only/);
  },
);

describe("DeepSeek-V4", () => {
  const FLASH = "deepseek-ai/DeepSeek-V4-Flash";
  // A page of 64 entries, one of 64 keys, one of 2 entries: 22 of each make up a block.
  const BLOCK = 22 * (65 * 576 + 15 * 576 + 3 * 576);

  test("has groups of 22 layers that share pages of three sizes", () => {
    const { totalBytes, bytesPerToken, figures, assumptions } = sized(FLASH, {
      tokens: 30_000,
      format: "fp8_e4m3",
      knobs: { maxNumBatchedTokens: 16_384 },
    });
    const pages = 118 + 2 * (Math.ceil(16_511 / 64) + 1) + Math.ceil(16_391 / 4) + 1 + Math.ceil(16_511 / 8) + 1;
    expect(totalBytes).toBe(pages * BLOCK);
    expect(bytesPerToken).toBe(BLOCK / 256);
    expect(figures[0]).toEqual({ name: "block_size", value: "256" });
    expect(assumptions).toEqual([
      "vllm stores an indexer's keys as fp8_scaled: 132 bytes each, whatever the cache's type",
    ]);
  });

  test("is whole on every tensor rank, and split by pipeline stages", () => {
    const options = { tokens: 30_000, knobs: { maxNumBatchedTokens: 2048 } };
    const one = sized(FLASH, options);
    expect(sized(FLASH, { ...options, sharding: { tensor: 4 } }).largestDeviceBytes).toBe(one.largestDeviceBytes);
    const two = sized(FLASH, { ...options, sharding: { pipeline: 2 } });
    expect(two.largestDeviceBytes).toBeLessThan(0.6 * one.largestDeviceBytes);
    expect(two.totalBytes).toBeGreaterThanOrEqual(one.totalBytes);
    expect(one.assumptions.join()).toContain("584 bytes");
  });

  test.each<[string, unknown, object]>([
    ["knobs.blockSize", 64, { knobs: { blockSize: 64 } }],
    ["knobs.disableHybridKvCacheManager", true, { knobs: { disableHybridKvCacheManager: true } }],
    ["sharding.context", 2, { sharding: { context: 2 } }],
  ])("does not run with %s = %j", (field, value, options) => {
    expect(() => sized(FLASH, { tokens: 4096, ...options })).toThrow(
      expect.objectContaining({ code: "INVALID_CONFIG", field, value }),
    );
  });
});

test.each<[string, unknown]>([
  ["blockSize", 0],
  ["mambaCacheMode", "all"],
  ["mambaSsmCacheDtype", "q8_0"],
  ["kvCacheMemoryBytes", 1.5],
  ["asyncScheduling", "on"],
  ["gpuMemoryUtilization", 0.9],
])("knob %s = %j is refused by name", (knob, value) => {
  expect(() => sized(LLAMA, { knobs: { [knob]: value } })).toThrow(
    expect.objectContaining({ code: "INVALID_CONFIG", field: `knobs.${knob}` }),
  );
});
