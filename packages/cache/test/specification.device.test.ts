// The tests of the specification that this cache implements, under the names that it gives them.

import { calculateSize, InvalidConfigError, type KVCacheConfig } from "@kv/config";
import { type Device, openDevice } from "@kv/device-memory";
import { VramTracker } from "@kv/vram-tracker";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { KVCache, type KvTensor, LayerIndexError } from "../src/index.ts";

const QWEN_0_5B: KVCacheConfig = { numLayers: 24, maxContextLength: 2048, numKvHeads: 2, headDim: 64 };
const LLAMA_8B: KVCacheConfig = { numLayers: 32, maxContextLength: 4096, numKvHeads: 8, headDim: 128 };
const LLAMA_70B: KVCacheConfig = { numLayers: 80, maxContextLength: 8192, numKvHeads: 8, headDim: 128 };
const SMALL: KVCacheConfig = { numLayers: 3, maxContextLength: 16, numKvHeads: 2, headDim: 8 };

const missing = inject("deviceMissing");

describe.skipIf(missing !== "")(`specification on ${inject("device")} ${missing}`, () => {
  let device: Device;
  beforeAll(() => {
    device = openDevice(inject("device"));
  });
  afterAll(() => device.dispose());

  /** Allocates, checks the size at every place that states it, and gives back. */
  function allocateAndCheck(config: KVCacheConfig, sizeBytes: number): void {
    const tracker = new VramTracker();
    const cache = KVCache.allocate(device, config, { tracker });
    expect(calculateSize(config)).toBe(sizeBytes);
    expect(cache.sizeBytes).toBe(sizeBytes);
    expect(tracker.totalUsage).toBe(sizeBytes);
    expect(cache.layerStrideBytes * config.numLayers).toBe(sizeBytes);
    cache.dispose();
    expect(tracker.totalUsage).toBe(0);
  }

  test("SizeCalculation_SmallModel", () => expect(calculateSize(QWEN_0_5B)).toBe(25_165_824));

  test("SizeCalculation_MediumModel", () => {
    expect(calculateSize(LLAMA_8B)).toBe(536_870_912);
    expect(calculateSize(LLAMA_70B)).toBe(2_684_354_560);
  });

  test("SizeCalculation_LargeContext", () => {
    expect(calculateSize({ ...QWEN_0_5B, maxContextLength: 8192, numKvHeads: 4 })).toBe(201_326_592);
    expect(calculateSize({ ...LLAMA_8B, maxContextLength: 32_768 })).toBe(4_294_967_296);
  });

  test("SizeCalculation_InvalidConfig", () => {
    for (const field of ["numLayers", "maxContextLength", "numKvHeads", "headDim"] as const) {
      for (const value of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, "8" as unknown as number]) {
        const config = { ...QWEN_0_5B, [field]: value };
        expect(() => calculateSize(config)).toThrow(expect.objectContaining({ code: "INVALID_CONFIG", field }));
        expect(() => KVCache.allocate(device, config)).toThrow(InvalidConfigError);
      }
    }
  });

  test("Allocation_Basic", () => {
    using cache = KVCache.allocate(device, QWEN_0_5B);
    expect(cache.isAllocated).toBe(true);
    expect(cache.sizeBytes).toBe(25_165_824);
    expect(cache.config).toEqual({ ...QWEN_0_5B, dtype: "fp16" });
    expect(cache.memory.address % 256n).toBe(0n);
  });

  test("Allocation_WithTracker", () => {
    const tracker = new VramTracker();
    using cache = KVCache.allocate(device, QWEN_0_5B, { tracker, owner: "session 1" });
    expect(tracker.allocationCount).toBe(1);
    expect(tracker.usageByPurpose("kv_cache")).toBe(cache.sizeBytes);
    expect(tracker.usageReport()).toContain("kv_cache");
  });

  test("LayerPointers_Valid", () => {
    using cache = KVCache.allocate(device, QWEN_0_5B);
    for (let layer = 0; layer < QWEN_0_5B.numLayers; layer++) {
      for (const tensor of [cache.keys(layer), cache.values(layer)]) {
        expect(tensor.shape).toEqual([2048, 2, 64]);
        expect(tensor.stridesBytes).toEqual([256, 128, 2]);
        expect(tensor.dtype).toBe("fp16");
        expect(tensor.address).toBeGreaterThanOrEqual(cache.memory.address);
        expect(tensor.address + BigInt(tensor.sizeBytes)).toBeLessThanOrEqual(
          cache.memory.address + BigInt(cache.sizeBytes),
        );
      }
    }
  });

  test("LayerPointers_InvalidIndex", () => {
    using cache = KVCache.allocate(device, SMALL);
    for (const layer of [-1, 3, 100, 0.5, Number.NaN]) {
      expect(() => cache.keys(layer)).toThrow(LayerIndexError);
      expect(() => cache.values(layer)).toThrow(LayerIndexError);
      expect(() => cache.view(layer)).toThrow(LayerIndexError);
    }
    expect(() => cache.keys(3)).toThrow("there is no layer 3; the cache has layers 0 to 2");
  });

  test("LayerPointers_Spacing", () => {
    using cache = KVCache.allocate(device, QWEN_0_5B);
    const half = 2048 * 2 * 64 * 2;
    expect(cache.layerStrideBytes).toBe(2 * half);
    for (let layer = 0; layer < QWEN_0_5B.numLayers; layer++) {
      expect(cache.keys(layer).address - cache.memory.address).toBe(BigInt(layer * 2 * half));
      expect(cache.values(layer).address - cache.keys(layer).address).toBe(BigInt(half));
    }
  });

  test("ZeroInitialization_Keys", () => {
    using cache = KVCache.allocate(device, QWEN_0_5B);
    expect(isZero(cache.keys(0))).toBe(true);
  });

  test("ZeroInitialization_Values", () => {
    using cache = KVCache.allocate(device, QWEN_0_5B);
    expect(isZero(cache.values(0))).toBe(true);
  });

  test("ZeroInitialization_AllLayers", () => {
    // Memory that held something else before.
    const dirty = device.allocate(25_165_824, { zero: false });
    dirty.fill(0xff);
    dirty.dispose();
    using cache = KVCache.allocate(device, QWEN_0_5B);
    for (let layer = 0; layer < QWEN_0_5B.numLayers; layer++) {
      expect(isZero(cache.keys(layer)) && isZero(cache.values(layer))).toBe(true);
    }
  });

  test("VramTracking_Allocation", () => {
    const tracker = new VramTracker();
    using cache = KVCache.allocate(device, LLAMA_8B, { tracker });
    expect(tracker.totalUsage).toBe(536_870_912);
    expect(tracker.usageByPurpose("kv_cache", device.name)).toBe(cache.sizeBytes);
  });

  test("VramTracking_Deallocation", () => {
    const tracker = new VramTracker();
    {
      using _cache = KVCache.allocate(device, QWEN_0_5B, { tracker });
      expect(tracker.totalUsage).toBe(25_165_824);
    }
    expect(tracker.totalUsage).toBe(0);
    expect(tracker.allocationCount).toBe(0);
  });

  test("VramTracking_MultipleAllocations", () => {
    const tracker = new VramTracker();
    const first = KVCache.allocate(device, QWEN_0_5B, { tracker });
    const second = KVCache.allocate(device, SMALL, { tracker });
    expect(tracker.allocationCount).toBe(2);
    expect(tracker.totalUsage).toBe(first.sizeBytes + second.sizeBytes);
    first.dispose();
    expect(tracker.totalUsage).toBe(second.sizeBytes);
    second.dispose();
    expect(tracker.totalUsage).toBe(0);
  });

  test("RealisticModel_Qwen2_5_0_5B", () => allocateAndCheck(QWEN_0_5B, 25_165_824));

  test("RealisticModel_Llama3_8B", () => allocateAndCheck(LLAMA_8B, 536_870_912));

  test("EdgeCase_SingleLayer", () =>
    allocateAndCheck({ numLayers: 1, maxContextLength: 128, numKvHeads: 4, headDim: 64 }, 131_072));

  test("EdgeCase_SingleHead", () =>
    allocateAndCheck({ numLayers: 2, maxContextLength: 128, numKvHeads: 1, headDim: 64 }, 65_536));

  // The specification prints "1 KB" here; its own formula gives 2,048 bytes.
  test("EdgeCase_SmallContext", () =>
    allocateAndCheck({ numLayers: 2, maxContextLength: 1, numKvHeads: 4, headDim: 64 }, 2048));
});

function isZero(tensor: KvTensor): boolean {
  const bytes = Buffer.alloc(tensor.sizeBytes, 0xaa);
  tensor.copyToHostSync(bytes);
  return bytes.equals(Buffer.alloc(tensor.sizeBytes));
}
