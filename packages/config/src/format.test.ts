import { describe, expect, test } from "vitest";
import { sizeOf } from "./cache-size.ts";
import { InvalidConfigError } from "./errors.ts";
import { indexerKeyBytes, KV_TYPES, type KvType, latentRowBytes, resolveFormat, rowBytes } from "./format.ts";
import type { ModelShape } from "./model-shape.ts";

const LATENT: ModelShape = {
  modelType: "deepseek_v3",
  layers: [0, 1].map((index) => ({
    kind: "latent",
    index,
    latentDim: 512,
    ropeDim: 64,
    expanded: { numKvHeads: 128, keyDim: 192, valueDim: 128 },
    indexerKeyDim: 0,
  })),
  maxContextTokens: null,
  dtype: null,
  stateDtype: null,
  assumptions: [],
};

const FULL: ModelShape = {
  ...LATENT,
  modelType: "llama",
  layers: [0, 1, 2, 3].map((index) => ({
    kind: "full",
    index,
    numKvHeads: 8,
    keyDim: 128,
    valueDim: 128,
    indexerKeyDim: 0,
  })),
};

const sized = (shape: ModelShape, format: Parameters<typeof resolveFormat>[0]): number =>
  sizeOf(shape, { tokens: 1, ...(format !== undefined && { format }) }).totalBytes;

describe("a row", () => {
  test.each<[KvType, number]>([
    ["fp32", 4096],
    ["fp16", 2048],
    ["bf16", 2048],
    ["fp8_e4m3", 1024],
    ["fp8_e5m2", 1024],
    ["int8", 1024 + 8 * 4],
    ["int4", 512 + 8 * 4],
    ["q8_0", 1088],
    ["q5_1", 768],
    ["q5_0", 704],
    ["q4_1", 640],
    ["q4_0", 576],
    ["iq4_nl", 576],
    ["mxfp4", 544],
    ["nvfp4", 576],
  ])("of 8 heads of 128 as %s takes %i bytes", (type, bytes) => {
    expect(rowBytes(type, 8, 128)).toBe(bytes);
  });

  test("of nothing takes nothing, whatever the scales", () => {
    for (const type of KV_TYPES) if (type !== "fp8_ds_mla") expect(rowBytes(type, 1, 0)).toBe(0);
  });

  test("may hold blocks across heads, and is refused where blocks do not divide it", () => {
    expect(rowBytes("q8_0", 2, 80)).toBe((160 / 32) * 34);
    expect(() => rowBytes("q8_0", 1, 80)).toThrow("format must be a type whose groups of 32 divide a row of 80 values");
    expect(() => rowBytes("nvfp4", 1, 96)).toThrow(InvalidConfigError);
  });

  test("of keys and values cannot have the latent layout", () => {
    expect(() => rowBytes("fp8_ds_mla", 8, 128)).toThrow("this one is for latents");
    expect(() => sized(FULL, "fp8_ds_mla")).toThrow(InvalidConfigError);
  });
});

describe("a latent", () => {
  test("takes 656 bytes in FlashMLA's fp8 layout, and 576 as plain fp8", () => {
    expect(latentRowBytes("fp8_ds_mla", 512, 64)).toBe(512 + 16 + 128);
    expect(latentRowBytes("fp8_e4m3", 512, 64)).toBe(576);
    expect(sized(LATENT, "fp8_ds_mla")).toBe(2 * 656);
    expect(() => latentRowBytes("fp8_ds_mla", 320, 64)).toThrow("no multiple of 128");
  });
});

describe("an indexer's key", () => {
  test("takes 132 bytes with an fp32 scale, 68 as mxfp4", () => {
    expect(indexerKeyBytes("fp8_scaled", 128)).toBe(132);
    expect(indexerKeyBytes("mxfp4", 128)).toBe(68);
    expect(indexerKeyBytes("bf16", 128)).toBe(256);
    expect(indexerKeyBytes("fp8_scaled", 0)).toBe(0);
  });

  test("is as the keys are where they are plain, and scaled fp8 otherwise", () => {
    expect(resolveFormat("bf16").indexer).toBe("bf16");
    expect(resolveFormat("fp8_ds_mla").indexer).toBe("fp8_scaled");
    expect(resolveFormat({ keys: "q8_0", indexer: "fp16" }).indexer).toBe("fp16");
  });
});

describe("a format", () => {
  test("may have values of another type than keys", () => {
    expect(sized(FULL, { keys: "fp16", values: "fp8_e4m3" })).toBe(4 * (2048 + 1024));
    expect(resolveFormat({ keys: "q8_0" }).values).toBe("q8_0");
  });

  test("may exempt layers, whichever they are", () => {
    const exempt = (exemptLayers: readonly number[]): number => sized(FULL, { keys: "fp8_e4m3", exemptLayers });
    expect(exempt([])).toBe(4 * 2048);
    expect(exempt([0])).toBe(4096 + 3 * 2048);
    expect(exempt([1, 3])).toBe(2 * 4096 + 2 * 2048);
    expect(exempt([99])).toBe(4 * 2048);
    expect(sized(FULL, { keys: "fp8_e4m3", exemptLayers: [0], exemptType: "fp32" })).toBe(8192 + 3 * 2048);
  });

  test.each<[string, unknown]>([
    ["format.keys", "fp12"],
    ["format.keys", { keys: 16 }],
    ["format.values", { values: "q3_k" }],
    ["format.indexer", { indexer: "q8_0" }],
    ["format.state", { state: "q8_0" }],
    ["format.conv", { conv: "int8" }],
    ["format.exemptLayers", { exemptLayers: [-1] }],
    ["format.exemptLayers", { exemptLayers: "all" }],
    ["format.exemptType", { exemptType: "none" }],
    ["format", 8],
    ["format", null],
  ])("with a wrong %s is refused: %j", (field, format) => {
    expect(() => resolveFormat(format as never)).toThrow(expect.objectContaining({ code: "INVALID_CONFIG", field }));
  });
});
