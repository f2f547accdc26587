import { KVCache } from "@kv/cache";
import { KV_DTYPES, type KVCacheConfig, type KvDtype } from "@kv/config";
import { type Device, openDevice } from "@kv/device-memory";
import { VramTracker } from "@kv/vram-tracker";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { allocateCache } from "../src/check/allocate.ts";
import { appendTokens, tokensToAppend } from "../src/check/append-tokens.ts";
import { type CheckObserver, type CheckSteps, checkModel } from "../src/check/check-model.ts";
import { layerResults } from "../src/check/layers.ts";
import { planCache } from "../src/check/plan.ts";
import { randomBitsFrom } from "../src/check/random-bits.ts";
import { readBack } from "../src/check/read-back.ts";
import { releaseCache } from "../src/check/release.ts";
import { verifyZeroes } from "../src/check/verify-zeroes.ts";
import { findUniformModel } from "../src/models/uniform-model.ts";

const deviceName = inject("device");
const missing = inject("deviceMissing");
const SMALL = { numLayers: 3, maxContextLength: 50, numKvHeads: 2, headDim: 8, dtype: "fp16" } as const;
const bitsOf = randomBitsFrom(new Uint8Array(16).fill(5));
const ignore = (): void => {};

describe.skipIf(missing !== "")(`the steps of a check on ${deviceName} ${missing}`, () => {
  let device: Device;
  beforeAll(() => {
    device = openDevice(deviceName);
  });
  afterAll(() => device.dispose());

  const filled = (config: KVCacheConfig): KVCache => {
    const cache = KVCache.allocate(device, config);
    appendTokens(cache, new VramTracker(), tokensToAppend(config.maxContextLength), bitsOf);
    return cache;
  };

  describe("allocateCache", () => {
    test("allocates what is planned and tells who counts what", () => {
      const tracker = new VramTracker();
      const { cache, allocation } = allocateCache(device, SMALL, tracker);
      using _held = cache;
      expect(allocation).toMatchObject({ allocatedBytes: 9600, trackedBytes: 9600, isResident: true });
      expect(allocation.address).toBe(cache.memory.address);
      const { driver } = allocation;
      expect(driver.differenceBytes).toBe(driver.usedBytes - driver.baselineBytes);
      expect(driver.unaccountedBytes).toBe(driver.differenceBytes - 9600);
      expect(allocation.ms).toBeGreaterThan(0);
    });

    test("counts what the tracker counts, not what was asked for", () => {
      const tracker = new VramTracker();
      tracker.recordAllocation({ device: device.name, address: 1n, sizeBytes: 50, purpose: "kv_cache" });
      const { cache, allocation } = allocateCache(device, SMALL, tracker);
      using _held = cache;
      expect(allocation).toMatchObject({ allocatedBytes: 9600, trackedBytes: 9650 });
    });

    test("too much leaves nothing behind", () => {
      const tracker = new VramTracker();
      const huge = { ...SMALL, maxContextLength: 2 ** 40 };
      expect(() => allocateCache(device, huge, tracker)).toThrow(expect.objectContaining({ code: "OUT_OF_MEMORY" }));
      expect(tracker.allocationCount).toBe(0);
    });
  });

  describe("verifyZeroes", () => {
    test("a new cache is all zero", () => {
      using cache = KVCache.allocate(device, SMALL);
      const progress: number[] = [];
      const found = verifyZeroes(cache, (bytes) => progress.push(bytes));
      expect(found).toMatchObject({ verifiedBytes: 9600, nonZero: [] });
      expect(progress).toEqual([3200, 6400, 9600]);
    });

    test("one wrong byte anywhere is found, in its layer and at its place", () => {
      using cache = KVCache.allocate(device, SMALL);
      const byte = {
        offset: fc.nat(1599),
        layer: fc.nat(2),
        isKey: fc.boolean(),
        value: fc.integer({ min: 1, max: 255 }),
      };
      fc.assert(
        fc.property(fc.record(byte), ({ offset, layer, isKey, value }) => {
          const tensor = isKey ? "keys" : "values";
          cache.reset();
          cache[tensor](layer).slice(offset, 1).fill(value);
          expect(verifyZeroes(cache, ignore).nonZero).toEqual([{ layer, tensor, offsetBytes: offset, value }]);
        }),
        { numRuns: 30 },
      );
    });

    test("the edges of the pieces that a large tensor is read in are found", () => {
      // 5 MiB and 7 bytes: one whole piece and a rest, no multiple of 8.
      const config = {
        numLayers: 1,
        maxContextLength: 1_747_629,
        numKvHeads: 1,
        headDim: 3,
        dtype: "fp8_e4m3",
      } as const;
      using cache = KVCache.allocate(device, config);
      expect(verifyZeroes(cache, ignore).nonZero).toEqual([]);
      const values = cache.values(0);
      for (const offsetBytes of [0, 4 * 2 ** 20 - 1, 4 * 2 ** 20, values.sizeBytes - 1]) {
        cache.reset();
        values.slice(offsetBytes, 1).fill(128);
        expect(verifyZeroes(cache, ignore).nonZero).toEqual([{ layer: 0, tensor: "values", offsetBytes, value: 128 }]);
      }
    });
  });

  describe("append and read back", () => {
    test.each(KV_DTYPES.map((dtype): [KvDtype] => [dtype]))("every bit of every layer, %s", (dtype) => {
      using cache = filled({ ...SMALL, dtype });
      expect(cache.position).toBe(40);
      expect(readBack(cache, bitsOf, ignore)).toEqual([]);
    });

    test.each([1, 2, 9, 40, 41])("a context of %d", (maxContextLength) => {
      using cache = filled({ ...SMALL, maxContextLength });
      expect(cache.position).toBe(Math.min(40, maxContextLength));
      expect(readBack(cache, bitsOf, ignore)).toEqual([]);
    });

    test("the prompt is tracked and given back", () => {
      const tracker = new VramTracker();
      using cache = KVCache.allocate(device, SMALL, { tracker });
      appendTokens(cache, tracker, tokensToAppend(50), bitsOf);
      expect(tracker.peakUsage({ purpose: "intermediate_buffers" })).toBe(3 * 2 * 32 * 32);
      expect(tracker.totalUsage).toBe(cache.sizeBytes);
    });

    test("one wrong byte anywhere is found, past the last token too", () => {
      using cache = filled(SMALL);
      const place = { at: fc.nat(41 * 32 - 1), layer: fc.nat(2), isKey: fc.boolean() };
      fc.assert(
        fc.property(fc.record(place), ({ at, layer, isKey }) => {
          const tensor = isKey ? "keys" : "values";
          const region = cache[tensor](layer).slice(at, 1);
          const byte = new Uint8Array(1);
          region.copyToHostSync(byte);
          const wanted = byte[0] ?? 0;
          region.fill(wanted ^ 16);
          const wrong = { layer, tensor, token: Math.floor(at / 32), offsetBytes: at % 32, wanted, found: wanted ^ 16 };
          expect(readBack(cache, bitsOf, ignore)).toEqual([wrong]);
          region.fill(wanted);
        }),
        { numRuns: 30 },
      );
      expect(readBack(cache, bitsOf, ignore)).toEqual([]);
    });

    test("keys and values that changed places, or layers that did, are found", () => {
      using cache = filled(SMALL);
      using spare = device.allocate(cache.keys(0).sizeBytes);
      spare.copyFrom(cache.keys(0));
      cache.keys(0).copyFrom(cache.values(0));
      cache.values(0).copyFrom(spare);
      expect(readBack(cache, bitsOf, ignore).map(({ layer }) => layer)).toEqual([0]);
      cache.keys(2).copyFrom(cache.keys(1));
      expect(readBack(cache, bitsOf, ignore).map(({ layer }) => layer)).toEqual([0, 2]);
    });
  });

  test("layerResults: layers lie one after the other and fill the allocation", () => {
    using cache = KVCache.allocate(device, SMALL);
    const nonZero = [{ layer: 1, tensor: "keys", offsetBytes: 0, value: 1 }] as const;
    const wrong = [{ layer: 2, tensor: "keys", token: 0, offsetBytes: 0, wanted: 1, found: 2 }] as const;
    expect(layerResults(cache, nonZero, wrong)).toEqual([
      { layer: 0, keysOffsetBytes: 0, valuesOffsetBytes: 1600, sizeBytes: 3200, isZeroed: true, isReadBack: true },
      { layer: 1, keysOffsetBytes: 3200, valuesOffsetBytes: 4800, sizeBytes: 3200, isZeroed: false, isReadBack: true },
      { layer: 2, keysOffsetBytes: 6400, valuesOffsetBytes: 8000, sizeBytes: 3200, isZeroed: true, isReadBack: false },
    ]);
  });

  describe("releaseCache", () => {
    test("gives everything back", () => {
      const tracker = new VramTracker();
      const { cache } = allocateCache(device, SMALL, tracker);
      expect(releaseCache(cache, tracker, 0)).toMatchObject({
        heldBytes: 0,
        heldAllocations: 0,
        leakReport: "nothing is held, nothing leaked",
      });
      expect(cache.isAllocated).toBe(false);
    });

    test("names what is still held", () => {
      const tracker = new VramTracker();
      const { cache } = allocateCache(device, SMALL, tracker);
      using _forgotten = device.allocate(1000, { tracker, owner: "someone", purpose: "scratch" });
      const release = releaseCache(cache, tracker, 0);
      expect(release).toMatchObject({ heldBytes: 1000, heldAllocations: 1 });
      expect(release.leakReport).toContain("someone");
    });
  });

  describe("checkModel", () => {
    const planOf = async (context: number) =>
      planCache(await findUniformModel("qwen2.5-0.5b", { context, dtype: "bf16" }));
    const observer = (heard: string[]): CheckObserver => ({
      progress: { start: ignore, update: ignore, stop: ignore },
      planned: () => heard.push("plan"),
      done: (name) => heard.push(name),
      ended: ignore,
    });

    test("passes, step by step", async () => {
      const heard: string[] = [];
      const { outcome, verdicts, steps, failure } = checkModel(device, await planOf(64), observer(heard));
      expect(outcome).toBe("passed");
      expect(verdicts).toEqual(
        ["allocated", "tracked", "zeroed", "read_back", "released"].map((check) => ({ check, passed: true })),
      );
      const names: (keyof CheckSteps)[] = ["allocation", "zeroes", "append", "layers", "usage", "release"];
      expect(Object.keys(steps)).toEqual(names);
      expect(heard).toEqual(["plan", ...names]);
      expect(failure).toBeUndefined();
    });

    test("too little memory is an outcome with its numbers", async () => {
      const heard: string[] = [];
      const { outcome, verdicts, failure } = checkModel(device, await planOf(2 ** 36), observer(heard));
      expect(outcome).toBe("out_of_memory");
      expect(verdicts).toEqual([]);
      expect(failure).toMatchObject({ code: "OUT_OF_MEMORY", fields: { wantedBytes: 12_288 * 2 ** 36 } });
      expect(heard).toEqual(["plan"]);
    });
  });
});
