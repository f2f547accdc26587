import { type Device, DisposedError, InvalidArgumentError, openDevice } from "@kv/device-memory";
import { DtypeError, ShapeError } from "@kv/kernels";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { CacheFullError, KVCache, LayerIndexError } from "../src/index.ts";
import { ArrayModel, bytesOf, randomTokens } from "./array-model.ts";

const CONFIG = { numLayers: 3, maxContextLength: 16, numKvHeads: 4, headDim: 8 };
// Under compute-sanitizer every run takes a hundred times as long.
const NUM_RUNS = process.env["KV_TEST_SMALL"] === "1" ? 100 : 10_000;
const missing = inject("deviceMissing");

describe.skipIf(missing !== "")(`KVCache on ${inject("device")} ${missing}`, () => {
  let device: Device;
  beforeAll(() => {
    device = openDevice(inject("device"));
  });
  afterAll(() => device.dispose());

  describe("position", () => {
    test("starts at 0 and moves by 1, 3 and to the end", () => {
      using cache = KVCache.allocate(device, CONFIG);
      expect([cache.position, cache.remainingCapacity, cache.isFull]).toEqual([0, 16, false]);
      cache.advancePosition(1);
      cache.advancePosition(3);
      expect([cache.position, cache.remainingCapacity, cache.isFull]).toEqual([4, 12, false]);
      cache.advancePosition(12);
      expect([cache.position, cache.remainingCapacity, cache.isFull]).toEqual([16, 0, true]);
    });

    test.each([1, 1000, Number.MAX_SAFE_INTEGER])("does not move by %i past the end", (excess) => {
      using cache = KVCache.allocate(device, CONFIG);
      cache.advancePosition(10);
      const amount = 6 + Math.min(excess, Number.MAX_SAFE_INTEGER - 6);
      const error = { code: "CACHE_FULL", position: 10, capacity: 16, amount };
      expect(() => cache.advancePosition(amount)).toThrow(expect.objectContaining(error));
      expect(cache.position).toBe(10);
    });

    test.each([0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, "1" as unknown as number])("refuses %s", (amount) => {
      using cache = KVCache.allocate(device, CONFIG);
      expect(() => cache.advancePosition(amount)).toThrow(InvalidArgumentError);
      expect(cache.position).toBe(0);
    });

    test("goes back to 0 at a reset, and the memory to zeroes", () => {
      using cache = KVCache.allocate(device, CONFIG);
      const tokens = randomTokens(CONFIG, 16);
      cache.append(1, { keys: tokens, values: tokens });
      cache.advancePosition(16);
      cache.reset();
      expect([cache.position, cache.isFull]).toEqual([0, false]);
      expectEqual(cache, new ArrayModel(CONFIG));
    });
  });

  describe.each(["fp16", "bf16", "fp32"] as const)("append of %s", (dtype) => {
    const config = { ...CONFIG, dtype };

    /** Appends the same random tokens to a layer of the cache and of the model. */
    function appendBoth(cache: KVCache, model: ArrayModel, layer: number, numTokens: number): void {
      const keys = randomTokens(cache.config, numTokens);
      const values = randomTokens(cache.config, numTokens);
      cache.append(layer, { keys, values });
      model.append(layer, keys, values);
    }

    function step(cache: KVCache, model: ArrayModel, numTokens: number): void {
      for (let layer = 0; layer < cache.config.numLayers; layer++) appendBoth(cache, model, layer, numTokens);
      cache.advancePosition(numTokens);
      model.position += numTokens;
    }

    test("a single token of a single head", () => {
      const single = { numLayers: 1, maxContextLength: 4, numKvHeads: 1, headDim: 8, dtype };
      using cache = KVCache.allocate(device, single);
      const model = new ArrayModel(single);
      step(cache, model, 1);
      expectEqual(cache, model);
    });

    test("a prefill of 3 tokens", () => {
      using cache = KVCache.allocate(device, config);
      const model = new ArrayModel(config);
      step(cache, model, 3);
      expectEqual(cache, model);
    });

    test("five decodes, one after the other", () => {
      using cache = KVCache.allocate(device, config);
      const model = new ArrayModel(config);
      for (let i = 0; i < 5; i++) step(cache, model, 1);
      expect(cache.position).toBe(5);
      expectEqual(cache, model);
    });

    test("a prefill, then decodes up to the end", () => {
      using cache = KVCache.allocate(device, config);
      const model = new ArrayModel(config);
      step(cache, model, 7);
      while (!cache.isFull) step(cache, model, 1);
      expectEqual(cache, model);
    });

    test("at a position, not at the start", () => {
      using cache = KVCache.allocate(device, config);
      const model = new ArrayModel(config);
      cache.advancePosition(9);
      model.position = 9;
      appendBoth(cache, model, 2, 2);
      expectEqual(cache, model);
    });

    test("distinct values for each head and each layer", () => {
      using cache = KVCache.allocate(device, config);
      const elements = randomTokens(config, 1);
      for (let layer = 0; layer < 3; layer++) {
        elements.forEach((_, i) => {
          elements[i] = 100 * layer + Math.floor(i / 8) + 1;
        });
        cache.append(layer, { keys: elements, values: elements.map((each) => each + 50) });
      }
      for (let layer = 0; layer < 3; layer++) {
        cache.keys(layer).tokens(0, 1).copyToHostSync(elements);
        expect([...elements].filter((_, i) => i % 8 === 3)).toEqual([1, 2, 3, 4].map((head) => 100 * layer + head));
        cache.values(layer).tokens(0, 1).copyToHostSync(elements);
        expect([...elements].filter((_, i) => i % 8 === 3)).toEqual([51, 52, 53, 54].map((head) => 100 * layer + head));
      }
    });

    test("from memory of the device and from pinned memory, which may be disposed at once", async () => {
      using cache = KVCache.allocate(device, config);
      const model = new ArrayModel(config);
      const keys = randomTokens(config, 2);
      const values = randomTokens(config, 2);
      const keyMemory = device.allocate(keys.byteLength);
      const valueMemory = device.allocatePinned(values.byteLength);
      await keyMemory.copyFromHost(keys);
      valueMemory.bytes.set(bytesOf(values));
      cache.append(1, { keys: keyMemory, values: valueMemory });
      keyMemory.dispose();
      valueMemory.dispose();
      model.append(1, keys, values);
      expectEqual(cache, model);
    });

    test.each([
      ["few tokens", 16, [1, 3, 1]],
      ["more than one launch takes", 6000, [2, 5600, 1]],
    ])("to all layers at once: %s", (_, maxContextLength, counts) => {
      const all = { ...config, maxContextLength };
      using cache = KVCache.allocate(device, all);
      const model = new ArrayModel(all);
      for (const numTokens of counts) {
        const layers = Array.from({ length: config.numLayers }, () => {
          return { keys: randomTokens(all, numTokens), values: randomTokens(all, numTokens) };
        });
        using keys = device.allocate(layers.reduce((sum, layer) => sum + layer.keys.byteLength, 0));
        using values = device.allocate(keys.sizeBytes);
        keys.upload(Buffer.concat(layers.map((layer) => bytesOf(layer.keys))));
        values.upload(Buffer.concat(layers.map((layer) => bytesOf(layer.values))));
        cache.appendAll({ keys, values });
        layers.forEach((layer, i) => {
          model.append(i, layer.keys, layer.values);
        });
        cache.advancePosition(numTokens);
        model.position += numTokens;
      }
      expectEqual(cache, model);
    });

    test("to all layers refuses what does not fit, and writes nothing", () => {
      using cache = KVCache.allocate(device, config);
      cache.advancePosition(15);
      const one = randomTokens(config, 1).byteLength;
      using three = device.allocate(3 * one);
      using six = device.allocate(6 * one);
      three.fill(1);
      six.fill(1);
      expect(() => cache.appendAll({ keys: six, values: six })).toThrow(CacheFullError);
      expect(() => cache.appendAll({ keys: three, values: six })).toThrow(ShapeError);
      const four = six.slice(0, 4 * one);
      expect(() => cache.appendAll({ keys: four, values: four })).toThrow(ShapeError);
      expectEqual(cache, new ArrayModel(config));
      cache.dispose();
      expect(() => cache.appendAll({ keys: three, values: three })).toThrow(DisposedError);
    });

    test("on a stream of one's own", () => {
      using stream = device.createStream();
      using cache = KVCache.allocate(device, config, { stream });
      const model = new ArrayModel(config);
      const keys = randomTokens(config, 4);
      cache.append(0, { keys, values: keys }, stream);
      model.append(0, keys, keys);
      stream.synchronizeSync();
      expectEqual(cache, model);
    });

    test("refuses what is wrong, and writes nothing", () => {
      using cache = KVCache.allocate(device, config);
      cache.advancePosition(15);
      const one = randomTokens(config, 1);
      const two = randomTokens(config, 2);
      const wrongType = dtype === "fp32" ? new Uint16Array(64) : new Float32Array(32);
      const disposed = device.allocate(one.byteLength);
      disposed.dispose();
      const error = { code: "CACHE_FULL", position: 15, capacity: 16, amount: 2 };
      expect(() => cache.append(0, { keys: two, values: two })).toThrow(expect.objectContaining(error));
      expect(() => cache.append(0, { keys: one, values: two })).toThrow(ShapeError);
      expect(() => cache.append(0, { keys: one.subarray(1), values: one.subarray(1) })).toThrow(ShapeError);
      expect(() => cache.append(0, { keys: one.subarray(0, 0), values: one.subarray(0, 0) })).toThrow(ShapeError);
      expect(() => cache.append(0, { keys: wrongType, values: wrongType })).toThrow(DtypeError);
      expect(() => cache.append(0, { keys: one, values: wrongType })).toThrow(DtypeError);
      expect(() => cache.append(0, { keys: [1] as never, values: one })).toThrow(DtypeError);
      expect(() => cache.append(3, { keys: one, values: one })).toThrow(LayerIndexError);
      expect(() => cache.append(0, { keys: disposed, values: disposed })).toThrow(DisposedError);
      expect(cache.position).toBe(15);
      expectEqual(cache, new ArrayModel(config));
    });

    test(`${NUM_RUNS} random sequences of appends are as plain arrays say`, () => {
      const small = { numLayers: 2, maxContextLength: 8, numKvHeads: 2, headDim: 4, dtype };
      using cache = KVCache.allocate(device, small);
      const model = new ArrayModel(small);
      const append = fc.record({ layer: fc.nat(1), numTokens: fc.integer({ min: 1, max: 9 }), advances: fc.boolean() });
      fc.assert(
        fc.property(fc.array(append, { minLength: 1, maxLength: 6 }), (appends) => {
          cache.reset();
          model.reset();
          for (const { layer, numTokens, advances } of appends) {
            if (numTokens > model.capacityLeft) {
              const tokens = randomTokens(small, numTokens);
              expect(() => cache.append(layer, { keys: tokens, values: tokens })).toThrow(CacheFullError);
              continue;
            }
            appendBoth(cache, model, layer, numTokens);
            if (!advances) continue;
            cache.advancePosition(numTokens);
            model.position += numTokens;
          }
          expect(cache.position).toBe(model.position);
          expectEqual(cache, model);
        }),
        { numRuns: NUM_RUNS },
      );
    });
  });

  test("once disposed it is refused everywhere", () => {
    const cache = KVCache.allocate(device, CONFIG);
    const view = cache.view(0);
    const tokens = randomTokens(CONFIG, 1);
    cache.dispose();
    cache.dispose();
    expect(cache.isAllocated).toBe(false);
    expect(() => cache.append(0, { keys: tokens, values: tokens })).toThrow(DisposedError);
    expect(() => cache.reset()).toThrow(DisposedError);
    expect(() => cache.keys(0).address).toThrow(DisposedError);
    expect(() => cache.view(1)).toThrow(DisposedError);
    expect(view.numSlots).toBe(16);
  });
});

function expectEqual(cache: KVCache, model: ArrayModel): void {
  for (let layer = 0; layer < cache.config.numLayers; layer++) {
    const wanted = model.layer(layer);
    const found = Buffer.alloc(wanted.keys.byteLength);
    cache.keys(layer).copyToHostSync(found);
    expect(found.equals(wanted.keys), `keys of layer ${layer}`).toBe(true);
    cache.values(layer).copyToHostSync(found);
    expect(found.equals(wanted.values), `values of layer ${layer}`).toBe(true);
  }
}
