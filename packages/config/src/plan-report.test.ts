import { describe, expect, test } from "vitest";
import { modelShape } from "../test/models.ts";
import { type PlanOptions, type PlanReport, planReport } from "./plan-report.ts";
import { sizeReport } from "./size-report.ts";

const GiB = 2 ** 30;
const LLAMA = "meta-llama/Meta-Llama-3-8B";
const GEMMA = "google/gemma-3-27b-it";
const MISTRAL_V01 = "mistralai/Mistral-7B-v0.1";

const planned = (model: string, options: PlanOptions): PlanReport => planReport(modelShape(model), options);

describe("the budget", () => {
  test("is one device's, less its weights and what stays free", () => {
    const plan = planned(LLAMA, {
      tokens: 8192,
      budgetBytes: 24 * GiB,
      weightsBytes: 16 * GiB,
      reserveBytes: 2 * GiB,
      sharding: { tensor: 2 },
    });
    expect(plan.weightsBytes).toBe(8 * GiB);
    expect(plan.kvBudgetBytes).toBe(14 * GiB);
    expect(plan.leftBytes).toBe(14 * GiB - plan.largestDeviceBytes);
    expect(plan.fits).toBe(true);
  });

  test("may be less than the weights", () => {
    const plan = planned(LLAMA, { tokens: 1, budgetBytes: GiB, weightsBytes: 2 * GiB });
    expect(plan).toMatchObject({ kvBudgetBytes: 0, fits: false, maxTokens: 0, maxContext: 0, maxSequences: 0 });
    expect(plan.leftBytes).toBe(-131_072);
  });

  test.each(["budgetBytes", "weightsBytes", "reserveBytes"])("%s must be a whole number", (field) => {
    for (const value of [-1, 0.5, Number.NaN, "1GiB"]) {
      const options = { budgetBytes: GiB, [field]: value } as PlanOptions;
      expect(() => planned(LLAMA, options)).toThrow(expect.objectContaining({ code: "INVALID_CONFIG", field }));
    }
  });
});

describe("limits", () => {
  test("divide the budget where everything grows alike", () => {
    const plan = planned(LLAMA, { tokens: 8192, sequences: 4, budgetBytes: 10 * GiB });
    expect(plan.maxTokens).toBe((10 * GiB) / 131_072);
    expect(plan.maxContext).toBe((10 * GiB) / 131_072 / 4);
    expect(plan.maxSequences).toBe(10);
    expect(plan.blocks).toEqual({ tokensPerBlock: 16, bytesPerBlock: 16 * 131_072, maxBlocks: 5120 });
  });

  test("know that windows stop growing", () => {
    const shape = modelShape(GEMMA);
    const { maxTokens } = planReport(shape, { tokens: 1, budgetBytes: 8 * GiB });
    if (maxTokens === null) throw new Error("full layers grow");
    const bytesAt = (tokens: number): number => sizeReport(shape, { tokens }).totalBytes;
    expect(bytesAt(maxTokens)).toBeLessThanOrEqual(8 * GiB);
    expect(bytesAt(maxTokens + 1)).toBeGreaterThan(8 * GiB);
    expect(maxTokens).toBe(Math.floor((8 * GiB - 436_207_616) / 81_920));
  });

  test("are none where nothing grows any more", () => {
    const plan = planned(MISTRAL_V01, { tokens: 100_000, budgetBytes: GiB });
    expect(plan).toMatchObject({ fits: true, maxTokens: null, maxContext: null, maxSequences: 2, blocks: null });
    expect(planned(MISTRAL_V01, { tokens: 100_000, budgetBytes: GiB / 4 }).maxTokens).toBe(2048);
  });

  test("are 0 where not even one token fits", () => {
    expect(planned(LLAMA, { tokens: 1, budgetBytes: 131_071 })).toMatchObject({ maxTokens: 0, maxSequences: 0 });
    expect(planned(LLAMA, { tokens: 1, budgetBytes: 131_072 })).toMatchObject({ maxTokens: 1, maxSequences: 1 });
  });
});

describe("blocks", () => {
  test("get what windows and states of the sequences leave", () => {
    const plan = planned(GEMMA, { tokens: 8192, sequences: 2, budgetBytes: 4 * GiB, tokensPerBlock: 16 });
    const windows = 2 * 52 * 8192 * (64 + 1) * 16;
    expect(plan.blocks).toEqual({
      tokensPerBlock: 16,
      bytesPerBlock: 16 * 81_920,
      maxBlocks: Math.floor((4 * GiB - windows) / (16 * 81_920)),
    });
  });

  test("are the engine's own", () => {
    const blocks = (rule: PlanOptions["rule"], model = LLAMA): PlanReport["blocks"] =>
      planned(model, { rule: rule as "exact", tokens: 8192, budgetBytes: 10 * GiB }).blocks;
    expect(blocks("vllm")).toEqual({ tokensPerBlock: 16, bytesPerBlock: 16 * 131_072, maxBlocks: 5120 });
    expect(blocks("vllm", GEMMA)).toMatchObject({ tokensPerBlock: 16, bytesPerBlock: 16 * 10 * 8192 });
    expect(blocks("tensorrt-llm")).toEqual({ tokensPerBlock: 32, bytesPerBlock: 32 * 131_072, maxBlocks: 2560 });
    expect(blocks("sglang")).toEqual({ tokensPerBlock: 1, bytesPerBlock: 131_072, maxBlocks: 81_919 });
    expect(blocks("llama.cpp")).toBeNull();
    expect(blocks("transformers")).toBeNull();
  });

  test("agree with vLLM's own count for the same bytes", () => {
    const shape = modelShape("Qwen/Qwen3-Next-80B-A3B-Instruct");
    const { blocks } = planReport(shape, { rule: "vllm", tokens: 32_768, budgetBytes: 10 * GiB });
    const { figures } = sizeReport(shape, {
      rule: "vllm",
      tokens: 32_768,
      knobs: { kvCacheMemoryBytes: 10 * GiB },
    });
    expect(figures).toContainEqual({ name: "num_gpu_blocks", value: String(blocks?.maxBlocks) });
  });

  test("are counted on the stage that takes most", () => {
    const { blocks } = planned("deepseek-ai/DeepSeek-V3", {
      tokens: 4096,
      budgetBytes: GiB,
      sharding: { pipeline: 4, tensor: 8 },
    });
    expect(blocks?.bytesPerBlock).toBe(16 * 16 * 1152);
  });
});

describe("suggestions", () => {
  test("are none when it fits", () => {
    expect(planned(LLAMA, { tokens: 8192, budgetBytes: GiB }).suggestions).toEqual([]);
  });

  test("come with what they save, those that are enough first, the least loss first among them", () => {
    const { suggestions } = planned(LLAMA, { tokens: 8192, sequences: 2, budgetBytes: GiB });
    expect(suggestions.map(({ change, to, fits }) => [change, to, fits])).toEqual([
      ["format", "fp8_e4m3", true],
      ["format", "q4_0", true],
      ["tensor", "2", true],
      ["sequences", "1", true],
      ["context", "4096", true],
      ["format", "int8", false],
    ]);
    const [first] = suggestions;
    expect(first).toEqual({
      change: "format",
      from: "fp16",
      to: "fp8_e4m3",
      largestDeviceBytes: GiB,
      savesBytes: GiB,
      fits: true,
      text: "format: fp16 → fp8_e4m3 saves 1 GiB per device, and fits",
    });
  });

  test("of one change begin with what keeps most", () => {
    const { suggestions } = planned(LLAMA, { tokens: 8192, sequences: 2, budgetBytes: 1.25 * GiB });
    const formats = suggestions.filter(({ change, fits }) => change === "format" && fits);
    expect(formats.map(({ to }) => to)).toEqual(["int8", "fp8_e4m3", "q4_0"]);
  });

  test("name the windows that TensorRT-LLM does not read from the model, once around their pattern", () => {
    const { suggestions } = planned(GEMMA, { rule: "tensorrt-llm", tokens: 131_072, budgetBytes: 30 * GiB });
    expect(suggestions[0]).toMatchObject({
      change: "windows",
      to: "maxAttentionWindow=1024,1024,1024,1024,1024,131072",
      largestDeviceBytes: 2 * 10 * 8192 * 131_072,
      fits: true,
    });
    expect(planned(LLAMA, { rule: "tensorrt-llm", tokens: 131_072, budgetBytes: GiB }).suggestions[0]?.change).not.toBe(
      "windows",
    );
  });

  test("begin with windows that an engine was told to ignore", () => {
    const { suggestions } = planned(GEMMA, {
      rule: "llama.cpp",
      tokens: 32_768,
      budgetBytes: 4 * GiB,
      knobs: { swaFull: true },
    });
    expect(suggestions[0]).toMatchObject({ change: "windows", from: "swaFull=true", to: "swaFull=false", fits: true });
  });

  test("leave out what the engine or the model cannot do", () => {
    const changes = (rule: PlanOptions["rule"], model: string): string[] =>
      planned(model, { rule: rule as "exact", tokens: 8192, budgetBytes: 2 ** 20 }).suggestions.map(
        ({ change, to }) => `${change} ${to}`,
      );
    expect(changes("llama.cpp", LLAMA).some((text) => text.startsWith("tensor"))).toBe(false);
    expect(changes("transformers", LLAMA).some((text) => text.startsWith("format"))).toBe(false);
    // vLLM takes neither 2 nor 4 nor 8 ranks for 5 KV heads.
    expect(changes("vllm", "microsoft/bitnet-b1.58-2B-4T").some((text) => text.startsWith("tensor"))).toBe(false);
  });
});

test("a report survives JSON", () => {
  for (const model of [LLAMA, GEMMA, MISTRAL_V01]) {
    for (const budgetBytes of [2 ** 20, 100 * GiB]) {
      const plan = planned(model, { tokens: 32_768, budgetBytes });
      expect(JSON.parse(JSON.stringify(plan))).toEqual(plan);
    }
  }
});
