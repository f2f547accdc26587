import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { modelShape } from "../../test/models.ts";
import { type SizeOptions, type SizeReport, sizeReport } from "../size-report.ts";

const LLAMA = "meta-llama/Meta-Llama-3-8B";
const GEMMA = "google/gemma-3-27b-it";
const GPT_OSS = "openai/gpt-oss-20b";
const DEEPSEEK = "deepseek-ai/DeepSeek-V3";
const V4_FLASH = "deepseek-ai/DeepSeek-V4-Flash";
const QWEN_NEXT = "Qwen/Qwen3-Next-80B-A3B-Instruct";

const sized = (model: string, options: SizeOptions): SizeReport =>
  sizeReport(modelShape(model), { rule: "sglang", ...options });

const figure = ({ figures }: SizeReport, name: string): string | undefined =>
  figures.find((each) => each.name === name)?.value;

const bytesOf = ({ layers }: SizeReport, kind: string): number =>
  layers.filter((layer) => layer.kind === kind).reduce((total, { bytes }) => total + bytes, 0);

describe("the pool of tokens", () => {
  test("has whole pages, and one more", () => {
    expect(sized(LLAMA, { tokens: 1000 }).totalBytes).toBe(1001 * 131_072);
    expect(sized(LLAMA, { tokens: 1000, knobs: { pageSize: 64 } }).totalBytes).toBe(1088 * 131_072);
    expect(sized(LLAMA, { tokens: 65, sequences: 2, knobs: { pageSize: 64 } }).totalBytes).toBe(320 * 131_072);
    expect(sized(LLAMA, { tokens: 1, knobs: { maxTotalTokens: 4096 } }).totalBytes).toBe(4097 * 131_072);
    expect(sized(LLAMA, { tokens: 1, knobs: { maxTotalTokens: 4159, pageSize: 64 } }).totalBytes).toBe(4160 * 131_072);
  });

  test("is printed with K and V apart, a latent as one", () => {
    const knobs = { maxTotalTokens: 8191 };
    expect(figure(sized(LLAMA, { tokens: 1, knobs }), "K size")).toBe("0.50 GB");
    expect(figure(sized(LLAMA, { tokens: 1, knobs }), "V size")).toBe("0.50 GB");
    expect(figure(sized(DEEPSEEK, { tokens: 1, knobs }), "KV size")).toBe("0.54 GB");
    expect(figure(sized(DEEPSEEK, { tokens: 1, knobs }), "#tokens")).toBe("8191");
  });

  test("keeps exempt layers in their own type", () => {
    const { totalBytes } = sized(LLAMA, { tokens: 15, format: { keys: "fp8_e4m3", exemptLayers: [0, 5] } });
    expect(totalBytes).toBe(16 * (30 * 2048 + 2 * 4096));
  });

  test("has a state for every sequence and one more beside it", () => {
    const report = sized(QWEN_NEXT, { tokens: 100, sequences: 3 });
    expect(bytesOf(report, "state")).toBe(4 * 36 * (8192 * 3 * 2 + 524_288 * 4));
  });
});

test("recurrent states are those of --max-mamba-cache-size, and printed as the log does", () => {
  // https://github.com/sgl-project/sglang prints "Mamba Cache is allocated." before this.
  const report = sized(QWEN_NEXT, { tokens: 100, knobs: { maxMambaCacheSize: 15 } });
  expect(bytesOf(report, "state")).toBe(16 * 36 * (8192 * 3 * 2 + 524_288 * 4));
  expect(figure(report, "Mamba Cache")).toBe(
    "max_mamba_cache_size: 15, conv_state size: 0.03GB, ssm_state size: 1.13GB",
  );
});

describe("a sparse indexer", () => {
  const GLM = "zai-org/GLM-5.2";

  test("has keys of 132 bytes with every latent, of whatever type, 68 as mxfp4", () => {
    expect(sized(GLM, { tokens: 64 }).bytesPerToken).toBe(78 * (1152 + 132));
    expect(sized(GLM, { tokens: 64, format: "fp8_e4m3" }).bytesPerToken).toBe(78 * (576 + 132));
    expect(sized(GLM, { tokens: 64, format: { keys: "fp16", indexer: "mxfp4" } }).bytesPerToken).toBe(78 * (1152 + 68));
    expect(sized(GLM, { tokens: 64 }).assumptions.join()).toContain("132 bytes");
  });

  test("makes pages of 64 tokens, whatever is asked for", () => {
    const total = (options: SizeOptions): number => sized(GLM, { tokens: 65, ...options }).totalBytes;
    expect(total({})).toBe((128 + 64) * 78 * (1152 + 132));
    expect(total({ knobs: { pageSize: 1 } })).toBe(total({}));
  });

  test("beside grouped-query attention has keys of the model's own type", () => {
    const { bytesPerToken } = sized("MiniMaxAI/MiniMax-M3", { tokens: 16, format: "fp8_e4m3" });
    expect(bytesPerToken).toBe(60 * 2 * 4 * 128 + 57 * 128 * 2);
  });
});

describe("the pool of windows", () => {
  test("has a share of the other pool's tokens, in whole pages", () => {
    const report = sized(GPT_OSS, { tokens: 10_000, knobs: { pageSize: 64 } });
    // 12 layers each, 8 heads × 64 × 2 × 2 bytes; 0.8 × 10,048 is 125 pages and a bit.
    expect(bytesOf(report, "full")).toBe(12 * 2048 * (10_048 + 64));
    expect(bytesOf(report, "sliding")).toBe(12 * 2048 * (8000 + 64));
    expect(report.bytesPerToken).toBe(12 * 2048 * 1.8);
    const quarter = sized(GPT_OSS, { tokens: 10_000, knobs: { pageSize: 64, swaFullTokensRatio: 0.25 } });
    expect(bytesOf(quarter, "sliding")).toBe(12 * 2048 * (2496 + 64));
  });

  test("holds the windows of all sequences, however short they are", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 5000 }),
        fc.integer({ min: 1, max: 40 }),
        fc.constantFrom(1, 16, 64),
        fc.double({ min: 0.01, max: 1, noNaN: true }),
        (tokens, sequences, pageSize, swaFullTokensRatio) => {
          const report = sized(GPT_OSS, { tokens, sequences, knobs: { pageSize, swaFullTokensRatio } });
          const [swa, full] = ["#tokens (windows)", "#tokens"].map((name) => Number(figure(report, name)));
          expect(full).toBeGreaterThanOrEqual(tokens * sequences);
          expect(swa).toBeGreaterThanOrEqual(Math.min(tokens, 128) * sequences);
          expect(swa).toBeGreaterThan(128 + pageSize);
          expect(swa).toBe(Math.floor(Math.floor((full as number) * swaFullTokensRatio) / pageSize) * pageSize);
        },
      ),
    );
  });

  test("must hold one window, as SGLang demands when it starts", () => {
    const started = (maxTotalTokens: number): SizeReport => sized(GPT_OSS, { tokens: 1, knobs: { maxTotalTokens } });
    expect(() => started(162)).toThrow(
      expect.objectContaining({ code: "INVALID_CONFIG", field: "knobs.maxTotalTokens", value: 162 }),
    );
    expect(figure(started(163), "#tokens (windows)")).toBe("130");
  });

  test("holds chunks as well, and can be turned off", () => {
    const scout = "meta-llama/Llama-4-Scout-17B-16E-Instruct";
    const report = sized(scout, { tokens: 100_000 });
    expect(bytesOf(report, "chunked")).toBe(36 * 4096 * 80_001);
    const off = sized(scout, { tokens: 100_000, knobs: { disableHybridSwaMemory: true } });
    expect(bytesOf(off, "chunked")).toBe(36 * 4096 * 100_001);
    expect(off.assumptions.join()).toContain("windowed layers are kept in full");
  });

  test("is not there for architectures that SGLang does not list, and the report says so", () => {
    const report = sized(GEMMA, { tokens: 1023 });
    expect(report.totalBytes).toBe(1024 * 62 * 8192);
    expect(report.assumptions.join()).toContain("windowed layers are kept in full: no pool of windows for gemma3_text");
  });

  test.each([0, -1, 1.5, "half"])("a ratio of %j is refused", (swaFullTokensRatio) => {
    expect(() => sized(GPT_OSS, { tokens: 1, knobs: { swaFullTokensRatio } })).toThrow(
      expect.objectContaining({ code: "INVALID_CONFIG", field: "knobs.swaFullTokensRatio" }),
    );
  });

  test("a ratio that would need more tokens than a number holds overflows", () => {
    const tiny = { tokens: 1e9, knobs: { swaFullTokensRatio: Number.MIN_VALUE } };
    expect(() => sized(GPT_OSS, tiny)).toThrow(expect.objectContaining({ code: "SIZE_OVERFLOW" }));
  });
});

describe("DeepSeek-V4", () => {
  test("has the pools that SGLang's log prints", () => {
    const report = sized(V4_FLASH, { tokens: 1, knobs: { maxTotalTokens: 852_992 } });
    expect(figure(report, "DSV4 memory calculation")).toBe("bytes_per_full_token=7705.45");
    expect(figure(report, "DSV4 pool sizes")).toBe(
      "full=852992, swa=85248, c4=213248, c128=6664, c4_state=5328, c128_state=256",
    );
  });

  test("packs entries into aligned pages, beside keys and the compressors' state", () => {
    const report = sized(V4_FLASH, { tokens: 1, knobs: { maxTotalTokens: 852_992 } });
    const windows = 667 * 130 * 576;
    expect(bytesOf(report, "sliding")).toBe(2 * windows);
    const of4 = 3333 * (65 * 576 + 64 * 132) + 5340 * 4 * (512 + 128) * 4;
    const of128 = 3333 * 3 * 576 + 512 * 2 * 512 * 4;
    expect(bytesOf(report, "compressed")).toBe(21 * (windows + of4) + 20 * (windows + of128));
    // Page by page this is what SGLang reckons a token with, but for paddings and requests' own states.
    expect(report.totalBytes / 852_992 / 7705.45).toBeCloseTo(1.02, 1);
    expect(report.assumptions.join()).toContain("584 bytes");
    expect(sized(V4_FLASH, { tokens: 1, format: "fp8_e4m3" }).assumptions.join()).not.toContain("584");
  });

  test("keeps the other compressor's state with each request", () => {
    const at = (maxRunningRequests: number): number =>
      sized(V4_FLASH, { tokens: 1, knobs: { maxTotalTokens: 65_536, maxRunningRequests } }).totalBytes;
    expect(at(17) - at(16)).toBe(20 * 128 * 2 * 512 * 4);
  });

  test.each([
    ["pageSize", 64],
    ["disableHybridSwaMemory", true],
  ])("does not run with %s = %j", (knob, value) => {
    expect(() => sized(V4_FLASH, { tokens: 1, knobs: { [knob]: value } })).toThrow(
      expect.objectContaining({ code: "INVALID_CONFIG", field: `knobs.${knob}` }),
    );
  });

  test("with another width is not run", () => {
    const shape = { ...modelShape(V4_FLASH) };
    const layers = shape.layers.map((layer) => (layer.kind === "compressed" ? { ...layer, entryDim: 256 } : layer));
    expect(() => sizeReport({ ...shape, layers }, { rule: "sglang" })).toThrow(/sglang .* does not run "deepseek_v4"/);
  });
});

describe("an encoder", () => {
  test("takes slots of the same pool for its tokens, in every layer", () => {
    const report = sized("meta-llama/Llama-3.2-11B-Vision-Instruct", { tokens: 1000 });
    expect(report.totalBytes).toBe(40 * 4096 * (1000 + 6404 + 1));
    expect(bytesOf(report, "cross")).toBe(8 * 4096 * 7405);
  });

  test("of Whisper has rows for its own layers too, which are never used", () => {
    const report = sized("openai/whisper-large-v3-turbo", { tokens: 448 });
    const row = 2 * 1280 * 2;
    expect(report.layers).toEqual([
      { kind: "full", count: 4, bytes: 4 * row * 1949 },
      { kind: "cross", count: 4, bytes: 4 * row * 1949 },
      { kind: "none", count: 32, bytes: 32 * row * 1949 },
    ]);
    expect(report.bytesPerToken).toBe(40 * row);
  });

  test.each(["google-t5/t5-small", "facebook/bart-large"])("of %s is not run", (model) => {
    expect(() => sized(model, { tokens: 100, encoderTokens: 100 })).toThrow(
      expect.objectContaining({ code: "UNSUPPORTED_MODEL", rule: "sglang", value: "cross" }),
    );
  });
});
