import { type Device, DisposedError, InvalidArgumentError, OutOfBoundsError, openDevice } from "@kv/device-memory";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { type AppendInput, append, copyBlocks, KvView, ShapeError } from "../src/index.ts";
import { isSmall, type KernelCase, kernelCases } from "./cases.ts";
import { appendTo, bytesOf, copyBlocksOf } from "./oracle.ts";
import { type TestPlane, TestView } from "./test-view.ts";

const missing = inject("deviceMissing");

describe.skipIf(missing !== "")(`kernels on ${inject("device")} ${missing}`, () => {
  let device: Device;
  beforeAll(() => {
    device = openDevice(inject("device"));
  });
  afterAll(() => device.dispose());

  describe.each(kernelCases())("$name", (testCase) => {
    test("append writes tokens from a slot on", () => {
      using target = new TestView(device, testCase);
      const { numSlots } = target.view;
      appendAndCheck(target, slotsFrom(0, Math.ceil(numSlots / 2)), 0);
      appendAndCheck(target, slotsFrom(numSlots - 1, 1), numSlots - 1);
    });

    test("append follows a slot mapping, and skips what has no slot", () => {
      using target = new TestView(device, testCase);
      const slots = shuffled(slotsFrom(0, target.view.numSlots)).map((slot, i) => (i % 3 === 1 ? -1 : slot));
      slots.push(target.view.numSlots, 2 ** 31 - 1, -(2 ** 31), -7);
      appendAndCheck(target, slots, "mapping");
    });

    test("copyBlocks copies keys and values of whole blocks", () => {
      using target = new TestView(device, testCase);
      appendAndCheck(target, slotsFrom(0, target.view.numSlots), 0);
      const blocks = shuffled(slotsFrom(0, testCase.numBlocks));
      const half = Math.floor(blocks.length / 2);
      const pairs = blocks.slice(0, half).map((from, i) => ({ from, to: blocks[half + i] ?? 0 }));
      copyBlocks(target.view, pairs);
      for (const plane of [target.keys, target.values]) {
        copyBlocksOf(plane.wanted, pairs);
        expectWanted(plane);
      }
    });
  });

  test.skipIf(isSmall)("copyBlocks takes more pairs than one launch holds", () => {
    using target = new TestView(device, smallCase({ numBlocks: 2400 }));
    appendAndCheck(target, slotsFrom(0, target.view.numSlots), 0);
    const pairs = slotsFrom(0, 1200).map((from) => ({ from, to: 2399 - from }));
    copyBlocks(target.view, pairs);
    copyBlocksOf(target.keys.wanted, pairs);
    expectWanted(target.keys);
  });

  test("refuse what does not fit, before anything is written", () => {
    using target = new TestView(device, smallCase({ numBlocks: 4 }));
    const { view } = target;
    const { keys, values } = target.tokens(2);
    const three = target.tokens(3);
    expect(() => append(view, { keys, values, slots: view.numSlots - 1 })).toThrow(OutOfBoundsError);
    expect(() => append(view, { keys, values, slots: -1 })).toThrow(InvalidArgumentError);
    expect(() => append(view, { keys, values: three.values, slots: 0 })).toThrow(ShapeError);
    expect(() => append(view, { keys: keys.slice(1), values, slots: 0 })).toThrow(ShapeError);
    expect(() => append(view, { keys, values, slots: keys.slice(0, 4) })).toThrow(ShapeError);
    expect(() => append(view, { keys, values, slots: keys.slice(2, 8) })).toThrow(InvalidArgumentError);
    expect(() => copyBlocks(view, [{ from: 0, to: 4 }])).toThrow(InvalidArgumentError);
    expect(() => copyBlocks(view, [{ from: -1, to: 0 }])).toThrow(InvalidArgumentError);
    expect(() =>
      copyBlocks(view, [
        { from: 0, to: 2 },
        { from: 1, to: 2 },
      ]),
    ).toThrow(/twice/);
    expect(() =>
      copyBlocks(view, [
        { from: 0, to: 1 },
        { from: 1, to: 2 },
      ]),
    ).toThrow(/also write/);
    expectWanted(target.keys);
  });

  test("append names the argument that does not fit", () => {
    using target = new TestView(device, smallCase({}));
    const { view } = target;
    const { keys, values } = target.tokens(2);
    using _keys = keys;
    using _values = values;
    using slots = target.upload(Int32Array.of(0, 1, 2));
    const refused = (changes: Partial<AppendInput>): unknown => {
      try {
        append(view, { keys, values, slots: slots.slice(0, 8), ...changes });
      } catch (error) {
        return error;
      }
      return undefined;
    };
    expect(refused({ keys: keys.slice(1) })).toMatchObject({ code: "SHAPE", argument: "keys" });
    expect(refused({ values: values.slice(0, 4) })).toMatchObject({ code: "SHAPE", argument: "values" });
    expect(refused({ slots })).toMatchObject({ code: "SHAPE", argument: "slots" });
    expect(refused({ slots: slots.slice(2, 8) })).toMatchObject({ code: "INVALID_ARGUMENT", argument: "slots" });
    for (const first of [-1, 0.5, Number.NaN]) {
      expect(refused({ slots: first })).toMatchObject({ code: "INVALID_ARGUMENT", argument: "slots" });
    }
    expect(refused({ slots: view.numSlots - 1 })).toMatchObject({ message: expect.stringMatching(/^slots: /) });
    expectWanted(target.keys, target.values);
  });

  test.skipIf(isSmall)("append takes no tokens, one, 512 and 100,000", () => {
    const shape = { numBlocks: 1600, tokensPerBlock: 64, numKvHeads: 1, keyDim: 16, valueDim: 8 };
    using target = new TestView(device, smallCase(shape));
    const order = shuffled(slotsFrom(0, target.view.numSlots));
    appendNothing(target);
    for (const numTokens of [1, 512, 100_000]) appendAndCheck(target, order.splice(0, numTokens), "mapping", false);
    expectWanted(target.keys, target.values);
  });

  test("refuse a view that goes past its memory, and one whose memory is gone", () => {
    const target = new TestView(device, smallCase({ numBlocks: 4 }));
    const { keys, values } = target.tokens(1);
    const layout = { ...smallCase({ numBlocks: 5 }), keys: target.keys.layout, values: target.values.layout };
    expect(() => new KvView(layout)).toThrow(OutOfBoundsError);
    target[Symbol.dispose]();
    expect(() => append(target.view, { keys, values, slots: 0 })).toThrow(DisposedError);
    expect(() => copyBlocks(target.view, [{ from: 0, to: 1 }])).toThrow(DisposedError);
  });

  test("let their inputs be disposed at once", () => {
    using target = new TestView(device, smallCase({ numBlocks: 64 }));
    for (let block = 0; block < 64; block++) appendAndCheck(target, slotsFrom(block * 4, 4), block * 4, false);
    expectWanted(target.keys, target.values);
  });
});

/** Appends new tokens, on the device and in the oracle; `how`: by a mapping, or from a first slot on. */
function appendAndCheck(target: TestView, slots: readonly number[], how: "mapping" | number, isChecked = true): void {
  const { keys, values, keyBytes, valueBytes } = target.tokens(slots.length);
  const mapping = how === "mapping" ? target.upload(Int32Array.from(slots)) : undefined;
  append(target.view, { keys, values, slots: mapping ?? (how as number) });
  for (const memory of [keys, values, mapping]) memory?.dispose();
  appendTo(target.keys.wanted, target.keys.shape, keyBytes, slots);
  appendTo(target.values.wanted, target.values.shape, valueBytes, slots);
  if (!isChecked) return;
  expectWanted(target.keys, target.values);
}

function appendNothing({ view, device }: TestView): void {
  using memory = device.allocate(4);
  const none = memory.slice(0, 0);
  for (const slots of [none, 0, view.numSlots]) append(view, { keys: none, values: none, slots });
}

/** Compared as bytes: a deep comparison of so many arrays takes minutes. */
function expectWanted(...planes: TestPlane[]): void {
  for (const plane of planes) expect(bytesOf(plane.read()).equals(bytesOf(plane.wanted))).toBe(true);
}

function smallCase(changes: Partial<KernelCase>): KernelCase {
  const shape = { numBlocks: 4, tokensPerBlock: 4, numKvHeads: 2, keyDim: 8, valueDim: 8 };
  return { name: "small", dtype: "fp16", axisOrder: "NHD", ...shape, ...changes };
}

function slotsFrom(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => first + i);
}

/** In an order that is no order, the same in every run. */
function shuffled(numbers: readonly number[]): number[] {
  const order = (n: number): number => (Math.imul(n + 1, 0x9e3779b1) >>> 0) % 65_537;
  return [...numbers].sort((a, b) => order(a) - order(b));
}
