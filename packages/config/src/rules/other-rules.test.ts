import { describe, expect, test } from "vitest";
import { modelShape } from "../../test/models.ts";
import { type SizeOptions, type SizeReport, sizeReport } from "../size-report.ts";
import type { RuleName } from "./rule.ts";
import { RULES, ruleNamed } from "./rules.ts";

const LLAMA = "meta-llama/Meta-Llama-3-8B";
const GEMMA = "google/gemma-3-27b-it";
const DEEPSEEK = "deepseek-ai/DeepSeek-V3";
const QWEN_NEXT = "Qwen/Qwen3-Next-80B-A3B-Instruct";

const sizedBy =
  (rule: RuleName) =>
  (model: string, options: SizeOptions): SizeReport =>
    sizeReport(modelShape(model), { rule, ...options });

const figure = ({ figures }: SizeReport, name: string): string | undefined =>
  figures.find((each) => each.name === name)?.value;

describe("sglang", () => {
  const sized = sizedBy("sglang");

  test("has one page more than it was asked for", () => {
    expect(sized(LLAMA, { tokens: 1000 }).totalBytes).toBe(1001 * 131_072);
    expect(sized(LLAMA, { tokens: 1000, knobs: { pageSize: 64 } }).totalBytes).toBe(1064 * 131_072);
    expect(sized(LLAMA, { tokens: 1, knobs: { maxTotalTokens: 4096 } }).totalBytes).toBe(4097 * 131_072);
  });

  test("prints K and V apart, a latent as one", () => {
    const knobs = { maxTotalTokens: 8191 };
    expect(figure(sized(LLAMA, { tokens: 1, knobs }), "K size")).toBe("0.50 GB");
    expect(figure(sized(LLAMA, { tokens: 1, knobs }), "V size")).toBe("0.50 GB");
    expect(figure(sized(DEEPSEEK, { tokens: 1, knobs }), "KV size")).toBe("0.54 GB");
    expect(figure(sized(DEEPSEEK, { tokens: 1, knobs }), "#tokens")).toBe("8191");
  });

  test("keeps a state for every sequence and one more", () => {
    const { layers } = sized(QWEN_NEXT, { tokens: 100, sequences: 3 });
    expect(layers.find(({ kind }) => kind === "state")?.bytes).toBe(4 * 36 * (8192 * 3 * 2 + 524_288 * 4));
  });

  test("counts windows in full, and says so", () => {
    const report = sized(GEMMA, { tokens: 1023 });
    expect(report.totalBytes).toBe(1024 * 62 * 8192);
    expect(report.assumptions.join()).toContain("windowed layers are counted in full");
  });

  test("keeps exempt layers in their own type", () => {
    const { totalBytes } = sized(LLAMA, { tokens: 15, format: { keys: "fp8_e4m3", exemptLayers: [0, 5] } });
    expect(totalBytes).toBe(16 * (30 * 2048 + 2 * 4096));
  });

  test("refuses what it does not state", () => {
    expect(() => sized("openai/whisper-tiny", {})).toThrow(expect.objectContaining({ value: "cross" }));
    expect(() => sized("deepseek-ai/DeepSeek-V4-Flash", {})).toThrow(expect.objectContaining({ value: "compressed" }));
  });
});

describe("tensorrt-llm", () => {
  const sized = sizedBy("tensorrt-llm");

  test("rounds every sequence up to blocks of 32", () => {
    const report = sized(LLAMA, { tokens: 100, sequences: 3 });
    expect(report.totalBytes).toBe(3 * 128 * 131_072);
    expect(figure(report, "primary blocks")).toBe("12");
    expect(figure(report, "for max tokens in paged KV cache (384)")).toBe("0.05 GiB");
    expect(sized(LLAMA, { tokens: 100, knobs: { tokensPerBlock: 64 } }).totalBytes).toBe(128 * 131_072);
    expect(sized(LLAMA, { tokens: 1, knobs: { maxTokens: 8192 } }).totalBytes).toBe(2 ** 30);
  });

  test("keeps windows in full, and says so", () => {
    const report = sized(GEMMA, { tokens: 4096 });
    expect(report.totalBytes).toBe(4096 * 62 * 8192);
    expect(report.assumptions).toContain("one pool of full length, without VSWA");
  });

  test("keeps recurrent state beside the pool", () => {
    const { layers } = sized(QWEN_NEXT, { tokens: 32, sequences: 2 });
    expect(layers.find(({ kind }) => kind === "state")).toEqual({
      kind: "state",
      count: 36,
      bytes: 2 * 36 * (8192 * 3 * 2 + 524_288 * 4),
    });
  });
});

describe("transformers", () => {
  const sized = sizedBy("transformers");

  test("grows exactly with the tokens", () => {
    expect(sized(LLAMA, { tokens: 101 }).totalBytes).toBe(101 * 131_072);
  });

  test("keeps a window less one token between steps, a whole one if static", () => {
    const windowed = (knobs: Record<string, unknown>): number => {
      const { layers } = sized(GEMMA, { tokens: 8192, knobs });
      return (layers.find(({ kind }) => kind === "sliding")?.bytes ?? 0) / (52 * 8192);
    };
    expect(windowed({})).toBe(1023);
    expect(windowed({ cache: "static" })).toBe(1024);
  });

  test("kept every head's keys and values before version 5", () => {
    expect(sized(DEEPSEEK, { tokens: 1 }).totalBytes).toBe(70_272);
    expect(sized(DEEPSEEK, { tokens: 1, knobs: { majorVersion: 4 } }).totalBytes).toBe(4_997_120);
  });

  test("keeps a column more of convolutions", () => {
    const { layers } = sized(QWEN_NEXT, { tokens: 1 });
    expect(layers.find(({ kind }) => kind === "state")?.bytes).toBe(36 * (8192 * 4 * 2 + 524_288 * 4));
  });

  test.each<[string, unknown]>([
    ["cache", "paged"],
    ["majorVersion", 3],
    ["maxCacheLen", 5],
  ])("knob %s = %j is refused by name", (knob, value) => {
    expect(() => sized(LLAMA, { knobs: { [knob]: value } })).toThrow(
      expect.objectContaining({ code: "INVALID_CONFIG", field: `knobs.${knob}` }),
    );
  });
});

describe("exact", () => {
  test("rounds up to blocks where they are given, and has no knobs", () => {
    const sized = sizedBy("exact");
    expect(sized(LLAMA, { tokens: 17, tokensPerBlock: 16 }).totalBytes).toBe(32 * 131_072);
    expect(sized(LLAMA, { tokens: 17 }).totalBytes).toBe(17 * 131_072);
    expect(() => sized(LLAMA, { knobs: { blockSize: 16 } })).toThrow(
      expect.objectContaining({ field: "knobs.blockSize" }),
    );
  });
});

describe("every rule", () => {
  test.each(Object.values(RULES))("$name says its version and where it is documented", (rule) => {
    expect(ruleNamed(rule.name)).toBe(rule);
    expect(rule.version.length).toBeGreaterThan(0);
    expect(rule.documentation.length).toBeGreaterThan(0);
  });

  test("is known by its name only", () => {
    expect(() => ruleNamed("ollama")).toThrow(expect.objectContaining({ code: "INVALID_CONFIG", field: "rule" }));
    expect(() => ruleNamed("toString")).toThrow(expect.objectContaining({ field: "rule" }));
  });
});
