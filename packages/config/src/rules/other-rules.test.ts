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

  test("keeps what DeepSeek-V4's compressors have not compressed, at its most", () => {
    const flash = "deepseek-ai/DeepSeek-V4-Flash";
    const { layers, totalBytes } = sized(flash, { tokens: 1024 });
    // Windows of 127 tokens; only those without a compressor are two tensors.
    const windows = 127 * 512 * 2;
    expect(layers.map(({ kind, count }) => [kind, count])).toEqual([
      ["sliding", 2],
      ["compressed", 21],
      ["compressed", 20],
    ]);
    expect(layers[0]?.bytes).toBe(2 * 2 * windows);
    expect(layers[1]?.bytes).toBe(21 * (windows + 256 * (512 + 128) * 2 + 7 * 2 * 2 * (512 + 128) * 2));
    expect(layers[2]?.bytes).toBe(20 * (windows + 8 * 512 * 2 + 127 * 2 * 512 * 2));
    expect(totalBytes).toBe(layers.reduce((total, { bytes }) => total + bytes, 0));
    expect(() => sized(flash, { knobs: { cache: "static" } })).toThrow(
      expect.objectContaining({ code: "INVALID_CONFIG", field: "knobs.cache" }),
    );
    expect(() => sized(flash, { knobs: { majorVersion: 4 } })).toThrow(
      /^transformers \(version 4\) does not run "deepseek_v4"/,
    );
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
    const unprintable = { toString: null, valueOf: null } as unknown as string;
    expect(() => ruleNamed(unprintable)).toThrow(expect.objectContaining({ field: "rule" }));
  });
});
