// What every cache layout keeps, whatever its blocks: the same tests for each, on each device.

import { calculateSize, elementBytes, type KVCacheConfig, type KvDtype } from "@kv/config";
import { type Device, DisposedError } from "@kv/device-memory";
import { ShapeError } from "@kv/kernels";
import { BudgetExceededError, VramTracker } from "@kv/vram-tracker";
import { expect, test } from "vitest";
import { LayerIndexError } from "../src/index.ts";
import { ArrayModel, bytesOf, randomTokens } from "./array-model.ts";

/** Keys and values of the new tokens of one layer. */
export interface LayerInput {
  readonly keys: ArrayBufferView;
  readonly values: ArrayBufferView;
}

/** A cache of one sequence, as the contract drives it. */
export interface CacheDriver extends Disposable {
  readonly sizeBytes: number;
  readonly isAllocated: boolean;
  /** Tokens that count as written. */
  readonly position: number;
  /** Writes new tokens in every layer, `inputs[layer]`, then counts them. */
  step(numTokens: number, inputs: readonly LayerInput[]): void;
  /** Writes to one layer alone and counts nothing. */
  write(layer: number, numTokens: number, input: LayerInput): void;
  /** The first `numTokens` tokens of a layer, packed. */
  read(layer: number, numTokens: number): { keys: Buffer; values: Buffer };
  /** Every byte of its memory. */
  readAll(): Buffer;
  reset(): void;
  dispose(): void;
}

/** A layout: how a cache of it is made for so many tokens. */
export interface CacheLayout {
  readonly name: string;
  /** The code of the error when tokens do not fit. */
  readonly fullCode: string;
  make(device: Device, config: KVCacheConfig, tracker?: VramTracker): CacheDriver;
}

const SHAPE = { numLayers: 3, maxContextLength: 32, numKvHeads: 2, headDim: 8 };

/** Declares the contract's tests for a layout. `device` is asked for when a test runs. */
export function cacheContract({ make, fullCode }: CacheLayout, dtype: KvDtype, device: () => Device): void {
  const config = { ...SHAPE, dtype };
  const tokenBytes = config.numKvHeads * config.headDim * elementBytes(dtype);
  const inputsFor = (numTokens: number): LayerInput[] =>
    Array.from({ length: config.numLayers }, () => ({
      keys: randomTokens(config, numTokens),
      values: randomTokens(config, numTokens),
    }));

  /** The same step in the cache and in plain arrays. */
  function stepBoth(cache: CacheDriver, model: ArrayModel, numTokens: number): void {
    const inputs = inputsFor(numTokens);
    cache.step(numTokens, inputs);
    for (const [layer, { keys, values }] of inputs.entries()) model.append(layer, keys, values);
    model.position += numTokens;
  }

  function expectEqual(cache: CacheDriver, model: ArrayModel): void {
    expect(cache.position).toBe(model.position);
    const numBytes = model.position * tokenBytes;
    for (let layer = 0; layer < config.numLayers; layer++) {
      const found = cache.read(layer, model.position);
      const wanted = model.layer(layer);
      expect(found.keys.equals(wanted.keys.subarray(0, numBytes)), `keys of layer ${layer}`).toBe(true);
      expect(found.values.equals(wanted.values.subarray(0, numBytes)), `values of layer ${layer}`).toBe(true);
    }
  }

  test("takes the planned bytes, zero, tells the tracker, and gives them back once", () => {
    const tracker = new VramTracker();
    const cache = make(device(), config, tracker);
    expect(cache.sizeBytes).toBe(calculateSize(config));
    expect(tracker.usageByPurpose("kv_cache", device().name)).toBe(cache.sizeBytes);
    expect(cache.readAll().equals(Buffer.alloc(cache.sizeBytes))).toBe(true);
    cache.dispose();
    cache.dispose();
    expect([cache.isAllocated, tracker.usageByPurpose("kv_cache"), tracker.totalUsage]).toEqual([false, 0, 0]);
  });

  test("a budget that does not hold it refuses it, and nothing is taken", () => {
    const tracker = new VramTracker();
    tracker.setBudget({ purpose: "kv_cache", allowedBytes: calculateSize(config) - 1 });
    expect(() => make(device(), config, tracker)).toThrow(BudgetExceededError);
    expect(tracker.totalUsage).toBe(0);
  });

  test("a prefill and decodes up to the end are read back, layer by layer", () => {
    using cache = make(device(), config);
    const model = new ArrayModel(config);
    for (const numTokens of [7, 1, 1, 9, 1, 13]) {
      stepBoth(cache, model, numTokens);
      expectEqual(cache, model);
    }
    expect(cache.position).toBe(config.maxContextLength);
  });

  test("what is not written stays zero", () => {
    using cache = make(device(), config);
    const [input] = inputsFor(1) as [LayerInput];
    cache.step(
      1,
      Array.from({ length: config.numLayers }, () => input),
    );
    const written = cache.readAll().filter((byte) => byte !== 0).length;
    const given = [input.keys, input.values].flatMap((each) => [...bytesOf(each)]).filter((byte) => byte !== 0).length;
    expect(written).toBe(config.numLayers * given);
  });

  test("tokens beyond the end are refused, and nothing changes", () => {
    using cache = make(device(), config);
    const model = new ArrayModel(config);
    stepBoth(cache, model, 30);
    const before = cache.readAll();
    for (const numTokens of [3, 40]) {
      expect(() => cache.step(numTokens, inputsFor(numTokens))).toThrow(expect.objectContaining({ code: fullCode }));
      expect(cache.readAll().equals(before)).toBe(true);
      expectEqual(cache, model);
    }
    stepBoth(cache, model, 2);
    expectEqual(cache, model);
  });

  test("after a reset it begins anew", () => {
    using cache = make(device(), config);
    stepBoth(cache, new ArrayModel(config), 20);
    cache.reset();
    expect(cache.position).toBe(0);
    const model = new ArrayModel(config);
    stepBoth(cache, model, 32);
    expectEqual(cache, model);
  });

  test("wrong inputs are refused, and nothing changes", () => {
    using cache = make(device(), config);
    const model = new ArrayModel(config);
    stepBoth(cache, model, 5);
    const before = cache.readAll();
    const [one] = inputsFor(1) as [LayerInput];
    const [two] = inputsFor(2) as [LayerInput];
    expect(() => cache.write(3, 1, one)).toThrow(LayerIndexError);
    expect(() => cache.write(-1, 1, one)).toThrow(LayerIndexError);
    expect(() => cache.write(0, 1, { keys: one.keys, values: two.values })).toThrow(ShapeError);
    const half = (view: ArrayBufferView): Uint8Array | Uint16Array | Float32Array =>
      (view as Uint8Array).subarray(0, config.numKvHeads * config.headDim - 1);
    expect(() => cache.write(0, 1, { keys: half(one.keys), values: half(one.values) })).toThrow(ShapeError);
    expect(cache.readAll().equals(before)).toBe(true);
    expectEqual(cache, model);
  });

  test("two caches do not touch each other", () => {
    using first = make(device(), config);
    using second = make(device(), config);
    const models = [new ArrayModel(config), new ArrayModel(config)] as const;
    for (let i = 0; i < 5; i++) {
      stepBoth(first, models[0], 3);
      stepBoth(second, models[1], 2);
    }
    expectEqual(first, models[0]);
    expectEqual(second, models[1]);
  });

  test("once disposed it is refused", () => {
    const cache = make(device(), config);
    stepBoth(cache, new ArrayModel(config), 2);
    cache.dispose();
    expect(() => cache.write(0, 1, inputsFor(1)[0] as LayerInput)).toThrow(DisposedError);
    expect(() => cache.read(0, 1)).toThrow(DisposedError);
  });
}
