import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { modelShape } from "../../test/models.ts";
import type { KvFormatInput } from "../format.ts";
import { type SizeOptions, type SizeReport, sizeReport } from "../size-report.ts";

const LLAMA = "meta-llama/Meta-Llama-3-8B";
const GEMMA = "google/gemma-3-27b-it";
const QWEN_NEXT = "Qwen/Qwen3-Next-80B-A3B-Instruct";

const sized = (model: string, options: SizeOptions): SizeReport =>
  sizeReport(modelShape(model), { rule: "tensorrt-llm", ...options });

const figure = ({ figures }: SizeReport, name: string): string | undefined =>
  figures.find((each) => each.name === name)?.value;

const bytesOf = ({ layers }: SizeReport, kind: string): number =>
  layers.filter((layer) => layer.kind === kind).reduce((total, { bytes }) => total + bytes, 0);

test("every sequence is rounded up to blocks of 32", () => {
  const report = sized(LLAMA, { tokens: 100, sequences: 3 });
  expect(report.totalBytes).toBe(3 * 128 * 131_072);
  expect(figure(report, "primary blocks")).toBe("12");
  expect(figure(report, "for max tokens in paged KV cache (384)")).toBe("0.05 GiB");
  expect(sized(LLAMA, { tokens: 100, knobs: { tokensPerBlock: 64 } }).totalBytes).toBe(128 * 131_072);
  expect(sized(LLAMA, { tokens: 1, knobs: { maxTokens: 8192 } }).totalBytes).toBe(2 ** 30);
});

test("recurrent state is kept beside the pool, in the model's type unless the setting says otherwise", () => {
  const state = (knobs: Record<string, unknown>, format: KvFormatInput = "fp16"): number =>
    bytesOf(sized(QWEN_NEXT, { tokens: 32, sequences: 2, knobs, format }), "state");
  expect(state({})).toBe(2 * 36 * (8192 * 3 * 2 + 524_288 * 2));
  expect(state({ mambaSsmCacheDtype: "fp32" })).toBe(2 * 36 * (8192 * 3 * 2 + 524_288 * 4));
  expect(state({ mambaSsmCacheDtype: "format" }, { keys: "fp8_e4m3", state: "fp32" })).toBe(
    state({ mambaSsmCacheDtype: "fp32" }),
  );
});

describe("a sparse indexer", () => {
  const GLM = "zai-org/GLM-5.2";

  test("has keys of 132 bytes in every layer, 68 as mxfp4, in blocks of 64 tokens", () => {
    expect(sized(GLM, { tokens: 64 }).totalBytes).toBe(64 * 78 * (1152 + 132));
    expect(sized(GLM, { tokens: 65, format: "fp8_e4m3" }).totalBytes).toBe(128 * 78 * (576 + 132));
    expect(sized(GLM, { tokens: 64, format: { keys: "bf16", indexer: "mxfp4" } }).bytesPerToken).toBe(78 * (1152 + 68));
    expect(sized(GLM, { tokens: 64 }).assumptions.join()).toContain("132 bytes");
  });

  test("takes no other blocks", () => {
    expect(() => sized(GLM, { tokens: 64, knobs: { tokensPerBlock: 32 } })).toThrow(
      expect.objectContaining({ code: "INVALID_CONFIG", field: "knobs.tokensPerBlock" }),
    );
  });
});

test("an encoder's keys and values are kept in blocks, for every sequence", () => {
  const report = sized("openai/whisper-tiny", { tokens: 448, sequences: 3 });
  expect(bytesOf(report, "cross")).toBe(3 * 4 * 1504 * 2 * 384 * 2);
  expect(bytesOf(report, "full")).toBe(3 * 4 * 448 * 2 * 384 * 2);
});

test("a model that is not run is refused with the reason", () => {
  expect(() => sized("deepseek-ai/DeepSeek-V4-Flash", {})).toThrow(
    /tensorrt-llm \(0\.8 to 1\.2.*\) does not run "deepseek_v4", whose layer 2 is of the kind compressed: .* came with 1\.3/,
  );
});

describe("windows", () => {
  const WINDOWS = [1024, 1024, 1024, 1024, 1024, 131_072];
  const ROW = 2 * 16 * 128 * 2;

  test("are kept in full unless they are given", () => {
    const report = sized(GEMMA, { tokens: 4096 });
    expect(report.totalBytes).toBe(4096 * 62 * ROW);
    expect(report.assumptions).toContain("windowed layers are kept in full: no maxAttentionWindow is given");
  });

  test("have a pool each, and an equal share of the memory", () => {
    const report = sized(GEMMA, { tokens: 131_072, knobs: { maxAttentionWindow: WINDOWS } });
    // A window of 1024 tokens fills 32 blocks and holds one more.
    expect(bytesOf(report, "sliding")).toBe(52 * ROW * 33 * 32);
    expect(bytesOf(report, "full")).toBe(10 * ROW * 131_072);
    expect(report.totalBytes).toBe(2 * 10 * ROW * 131_072);
    expect(report.bytesPerToken).toBe(2 * 10 * ROW);
    expect(report.assumptions.join()).not.toContain("maxAttentionWindow");
    expect(report.figures).toEqual([
      { name: "Window size = 1024", value: "primary_blocks: 33" },
      { name: "Window size = 131072", value: "primary_blocks: 4096" },
    ]);
  });

  test("have the shares that are given", () => {
    const knobs = { maxAttentionWindow: WINDOWS, windowSizeShares: [0.25, 0.75] };
    expect(sized(GEMMA, { tokens: 131_072, knobs }).totalBytes).toBe(Math.ceil((10 * ROW * 131_072) / 0.75));
    expect(sized(GEMMA, { tokens: 2048, sequences: 64, knobs }).totalBytes).toBe((64 * 52 * ROW * 33 * 32) / 0.25);
  });

  test("of a budget have as many blocks as their share holds", () => {
    const knobs = { maxAttentionWindow: [512, 512, 512, 512, 512, 32_768], maxGpuTotalBytes: 40 * 2 ** 30 };
    const { figures } = sized(GEMMA, { tokens: 32_768, knobs });
    expect(figures.map(({ value }) => Number(/\d+/.exec(value)?.[0]))).toEqual([
      Math.floor((20 * 2 ** 30) / (52 * ROW) / 32),
      Math.floor((20 * 2 ** 30) / (10 * ROW) / 32),
    ]);
  });

  test("as long as the sequence are none, and one window alone needs no share", () => {
    const at = (maxAttentionWindow: unknown): number =>
      sized(GEMMA, { tokens: 1024, knobs: { maxAttentionWindow } }).totalBytes;
    expect(at(WINDOWS)).toBe(1024 * 62 * ROW);
    expect(at(4096)).toBe(1024 * 62 * ROW);
    expect(at([512])).toBe(62 * ROW * 17 * 32);
    expect(sized(GEMMA, { tokens: 1024, knobs: { maxAttentionWindow: [512] } }).bytesPerToken).toBe(0);
  });

  test("every pool has enough within its share", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 50_000 }),
        fc.integer({ min: 1, max: 20 }),
        fc.array(fc.integer({ min: 1, max: 60_000 }), { minLength: 1, maxLength: 6 }),
        (tokens, sequences, maxAttentionWindow) => {
          const report = sized(GEMMA, { tokens, sequences, knobs: { maxAttentionWindow } });
          const pools = new Set(
            Array.from({ length: 62 }, (_, i) =>
              Math.min(tokens, maxAttentionWindow[i % maxAttentionWindow.length] ?? 0),
            ),
          );
          const used = report.layers.reduce((total, { bytes }) => total + bytes, 0);
          expect(report.totalBytes).toBeGreaterThanOrEqual(used);
          expect(report.totalBytes).toBeLessThanOrEqual(used * pools.size);
        },
      ),
    );
  });

  test.each([
    ["maxAttentionWindow", []],
    ["maxAttentionWindow", [512, 0]],
    ["maxAttentionWindow", "512"],
    ["windowSizeShares", [0.5]],
    ["windowSizeShares", [0.5, 0.6]],
    ["windowSizeShares", [0.2, 0.3, 0.5]],
  ])("%s = %j is refused", (knob, value) => {
    const knobs = { maxAttentionWindow: WINDOWS, [knob]: value };
    expect(() => sized(GEMMA, { tokens: 131_072, knobs })).toThrow(
      expect.objectContaining({ code: "INVALID_CONFIG", field: `knobs.${knob}` }),
    );
  });
});
