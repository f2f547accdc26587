import { describe, expect, test } from "vitest";
import { modelShape } from "../../test/models.ts";
import { type SizeOptions, type SizeReport, sizeReport } from "../size-report.ts";

const LLAMA = "meta-llama/Meta-Llama-3-8B";
const GEMMA = "google/gemma-3-27b-it";
const DEEPSEEK = "deepseek-ai/DeepSeek-V3";

function sized(model: string, options: SizeOptions): SizeReport {
  return sizeReport(modelShape(model), { rule: "llama.cpp", ...options });
}

const bytesOf = ({ layers }: SizeReport, kind: string): number =>
  layers.filter((layer) => layer.kind === kind).reduce((total, { bytes }) => total + bytes, 0);

describe("cells", () => {
  test("are padded to 256, per stream", () => {
    expect(sized(LLAMA, { tokens: 1 }).totalBytes).toBe(256 * 131_072);
    expect(sized(LLAMA, { tokens: 257 }).totalBytes).toBe(512 * 131_072);
    expect(sized(LLAMA, { tokens: 100, sequences: 3 }).totalBytes).toBe(3 * 256 * 131_072);
  });

  test("are those of --ctx-size, shared by --parallel", () => {
    const report = sized(LLAMA, { tokens: 1, knobs: { ctxSize: 8192, parallel: 4 } });
    expect(report.totalBytes).toBe(8192 * 131_072);
    expect(report.figures[0]).toEqual({ name: "n_ctx_seq", value: "2048" });
    const unified = sized(LLAMA, { tokens: 1, knobs: { ctxSize: 8192, parallel: 4, kvUnified: true } });
    expect(unified.totalBytes).toBe(report.totalBytes);
    expect(unified.figures[0]?.value).toBe("8192");
  });
});

describe("windows", () => {
  const windowed = (options: SizeOptions): number => bytesOf(sized(GEMMA, options), "sliding") / (52 * 8192);

  test("take the window and one micro-batch, padded", () => {
    expect(windowed({ tokens: 32_768 })).toBe(1536);
    expect(windowed({ tokens: 32_768, knobs: { ubatchSize: 1024 } })).toBe(2048);
    expect(windowed({ tokens: 32_768, knobs: { batchSize: 256 } })).toBe(1280);
    expect(windowed({ tokens: 600 })).toBe(768);
  });

  test("take it once per stream, or all in one when unified", () => {
    expect(windowed({ tokens: 8192, sequences: 4 })).toBe(4 * 1536);
    expect(windowed({ tokens: 8192, sequences: 4, knobs: { kvUnified: true } })).toBe(4 * 1024 + 512);
  });

  test("take every cell with --swa-full", () => {
    expect(windowed({ tokens: 32_768, knobs: { swaFull: true } })).toBe(32_768);
  });

  test("are not known for architectures that it loads without, which is said", () => {
    const { layers, assumptions } = sized("mistralai/Mistral-7B-v0.1", { tokens: 32_768 });
    expect(layers).toEqual([{ kind: "sliding", count: 32, bytes: 32_768 * 131_072 }]);
    expect(assumptions.join()).toContain("without its window");
  });
});

describe("without flash attention", () => {
  test("values are padded to the widest layer's, and cannot be quantised", () => {
    const gemma4 = "google/gemma-4-31B-it";
    const withIt = sized(gemma4, { tokens: 4096 }).totalBytes;
    const without = sized(gemma4, { tokens: 4096, knobs: { flashAttn: false } }).totalBytes;
    // The windowed layers' values are 16 × 256 wide, those of the 10 full layers 4 × 512.
    expect(without - withIt).toBe(10 * 4096 * (16 * 256 - 4 * 512) * 2);
    expect(() => sized(LLAMA, { tokens: 1, format: "q8_0", knobs: { flashAttn: false } })).toThrow(
      expect.objectContaining({ code: "INVALID_CONFIG", field: "format.values" }),
    );
    const mixed = sized(LLAMA, { tokens: 256, format: { keys: "q8_0", values: "fp16" }, knobs: { flashAttn: false } });
    expect(mixed.totalBytes).toBe(256 * 32 * (1088 + 2048));
  });

  test("a latent's values stay a part of its key", () => {
    expect(sized(DEEPSEEK, { tokens: 256 }).totalBytes).toBe(256 * 61 * 576 * 2);
    expect(sized(DEEPSEEK, { tokens: 256, knobs: { flashAttn: false } }).totalBytes).toBe(256 * 61 * 576 * 2);
  });
});

test("files from before latents hold the keys and values of every head", () => {
  const { bytesPerToken } = sized(DEEPSEEK, { tokens: 256, knobs: { mla: false } });
  expect(bytesPerToken).toBe(61 * 128 * (192 + 128) * 2);
});

test("MiniCPM3's latent is not absorbed: the keys and values of its 40 heads are stored", () => {
  const { bytesPerToken, layers } = sized("openbmb/MiniCPM3-4B", { tokens: 256 });
  expect(bytesPerToken).toBe(62 * 40 * (96 + 64) * 2);
  expect(layers).toEqual([{ kind: "latent", count: 62, bytes: 256 * bytesPerToken }]);
});

test("recurrent state is fp32 per slot and per snapshot, whatever the types", () => {
  const state = (options: SizeOptions): number =>
    bytesOf(sized("Qwen/Qwen3-Next-80B-A3B-Instruct", { tokens: 256, ...options }), "state");
  const one = 36 * (8192 * 3 + 524_288) * 4;
  expect(state({})).toBe(one);
  expect(state({ sequences: 4, format: "q8_0" })).toBe(4 * one);
  expect(state({ knobs: { rsSeq: 3 } })).toBe(4 * one);
});

// As in https://github.com/ggml-org/llama.cpp/pull/26499, whose model has 40 layers, 30 of them with a state.
test("the line on recurrent state counts all layers of the model, and its snapshots", () => {
  const { figures } = sized("Qwen/Qwen3.6-35B-A3B", { tokens: 256, knobs: { rsSeq: 7 } });
  expect(figures.find(({ name }) => name === "recurrent")?.value).toBe(
    "size = 502.50 MiB (1 cells, 40 layers, 1 seqs 7 rs_seq), R (f32): 22.50 MiB, S (f32): 480.00 MiB",
  );
});

test("the lines on DeepSeek-V4's compressors give what a cell holds", () => {
  const { figures } = sized("deepseek-ai/DeepSeek-V4-Flash", { tokens: 4096 });
  expect(figures.slice(-3)).toEqual([
    {
      name: "csa-state",
      value: "csa ratio = 4, state = 8 x 1024, streams = 1, rs_seq = 0, layers = 21, size = 1.31 MiB",
    },
    {
      name: "hca-state",
      value: "hca ratio = 128, state = 128 x 512, streams = 1, rs_seq = 0, layers = 20, size = 10.00 MiB",
    },
    {
      name: "lid-state",
      value: "lid ratio = 4, state = 8 x 256, streams = 1, rs_seq = 0, layers = 21, size = 0.33 MiB",
    },
  ]);
});

test("an indexer's keys are a cache beside the others", () => {
  const { figures, bytesPerToken } = sized("deepseek-ai/DeepSeek-V3.2", { tokens: 4096 });
  expect(figures.map(({ name }) => name)).toEqual(["n_ctx_seq", "kv", "indexer"]);
  expect(bytesPerToken).toBe(61 * (576 + 128) * 2);
});

test("T5's cross attention is computed at every step and takes no cache", () => {
  const report = sized("google-t5/t5-small", { tokens: 512, encoderTokens: 512 });
  expect(report.totalBytes).toBe(6 * 512 * 2 * 512 * 2);
  expect(bytesOf(report, "cross")).toBe(0);
  expect(report.assumptions.join()).toContain("caches no cross attention");
});

test("what it does not do is refused", () => {
  expect(() => sized(LLAMA, { sharding: { tensor: 2 } })).toThrow("llama.cpp counts all its devices together");
  for (const model of ["openai/whisper-tiny", "meta-llama/Llama-3.2-11B-Vision-Instruct", "facebook/bart-large"]) {
    expect(() => sized(model, { tokens: 448 })).toThrow(/^llama\.cpp \(.*\) does not run .* kind cross/);
  }
  expect(() => sized(LLAMA, { format: { keys: "q8_0", exemptLayers: [0] } })).toThrow(
    expect.objectContaining({ code: "INVALID_CONFIG", field: "format.exemptLayers" }),
  );
});

test.each<[string, unknown]>([
  ["parallel", 0],
  ["ctxSize", -1],
  ["ubatchSize", 1.5],
  ["swaFull", "yes"],
  ["flashAttn", 1],
  ["noSuchKnob", true],
])("knob %s = %j is refused by name", (knob, value) => {
  expect(() => sized(LLAMA, { knobs: { [knob]: value } })).toThrow(
    expect.objectContaining({ code: "INVALID_CONFIG", field: `knobs.${knob}` }),
  );
});
