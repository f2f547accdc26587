import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { InvalidConfigError, SizeOverflowError } from "./errors.ts";
import type { KVCacheConfig } from "./kv-cache-config.ts";
import { bytesPerToken, calculateSize, layerStrideBytes } from "./kv-cache-size.ts";
import { presets } from "./uniform-presets.ts";

const shape = (numLayers: number, maxContextLength: number, numKvHeads: number, headDim: number): KVCacheConfig => ({
  numLayers,
  maxContextLength,
  numKvHeads,
  headDim,
});

describe("calculateSize", () => {
  test("SizeCalculation_SmallModel", () => {
    expect(calculateSize(presets["qwen2.5-0.5b"])).toBe(25_165_824);
  });

  test("SizeCalculation_MediumModel", () => {
    expect(calculateSize(presets["llama-3-8b"])).toBe(536_870_912);
    expect(calculateSize(presets["llama-3-70b"])).toBe(2_684_354_560);
  });

  test("SizeCalculation_LargeContext", () => {
    expect(calculateSize(shape(24, 8192, 4, 64))).toBe(201_326_592);
    expect(calculateSize(shape(32, 32768, 8, 128))).toBe(4_294_967_296);
  });

  test.each(["numLayers", "maxContextLength", "numKvHeads", "headDim"])(
    "SizeCalculation_InvalidConfig: %s",
    (field) => {
      for (const value of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, "24", null, undefined, 24n]) {
        const config = { ...presets["qwen2.5-0.5b"], [field]: value } as KVCacheConfig;
        expect(() => calculateSize(config)).toThrow(
          expect.objectContaining({
            code: "INVALID_CONFIG",
            field,
            value,
            allowed: expect.stringContaining("whole number"),
          }),
        );
      }
    },
  );

  test("SizeCalculation_InvalidConfig: dtype and the configuration itself", () => {
    const config = { ...presets["qwen2.5-0.5b"], dtype: "fp7" } as unknown as KVCacheConfig;
    expect(() => calculateSize(config)).toThrow(/dtype must be one of fp32, fp16, .*, got "fp7"/);
    for (const nothing of [null, undefined, 7, []]) {
      expect(() => calculateSize(nothing as unknown as KVCacheConfig)).toThrow(InvalidConfigError);
    }
  });

  test.each([
    ["single layer", shape(1, 128, 4, 64), 131_072],
    ["single head", shape(2, 128, 1, 64), 65_536],
    ["small context", shape(2, 1, 4, 64), 2_048],
  ])("edge: %s", (_name, config, bytes) => {
    expect(calculateSize(config)).toBe(bytes);
  });

  test("follows the dtype", () => {
    const bytesOf = (dtype: KVCacheConfig["dtype"]): number =>
      calculateSize({ ...shape(1, 1, 1, 1), dtype: dtype ?? "fp16" });
    expect([bytesOf("fp32"), bytesOf("bf16"), bytesOf("fp8_e4m3")]).toEqual([8, 4, 2]);
  });

  test("beyond a safe integer is an error with the exact size", () => {
    const huge = shape(1_000_000, 1_000_000_000, 1_000_003, 128);
    expect(() => calculateSize(huge)).toThrow(SizeOverflowError);
    expect(() => calculateSize(huge)).toThrow(expect.objectContaining({ bytes: 512_001_536_000_000_000_000_000n }));
  });

  test("equals the formula in unbounded integers, or refuses", () => {
    const count = fc.integer({ min: 1, max: 2 ** 20 });
    fc.assert(
      fc.property(count, count, count, count, (layers, context, heads, dim) => {
        const expected = 4n * BigInt(layers) * BigInt(context) * BigInt(heads) * BigInt(dim);
        const sized = (): number => calculateSize(shape(layers, context, heads, dim));
        if (expected <= BigInt(Number.MAX_SAFE_INTEGER)) expect(BigInt(sized())).toBe(expected);
        else expect(sized).toThrow(expect.objectContaining({ code: "SIZE_OVERFLOW", bytes: expected }));
      }),
    );
  });
});

test("strides and tokens divide the whole", () => {
  const config = presets["llama-3-8b"];
  expect(layerStrideBytes(config) * config.numLayers).toBe(calculateSize(config));
  expect(bytesPerToken(config) * config.maxContextLength).toBe(calculateSize(config));
  expect(bytesPerToken(config)).toBe(131_072);
});
