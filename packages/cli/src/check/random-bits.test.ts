import { expect, test } from "vitest";
import { elementsOf, randomBitsFrom } from "./random-bits.ts";

const SEED = new Uint8Array(16).fill(7);

test("the same seed gives the same bits, and a longer stream begins with the shorter", () => {
  const once = randomBitsFrom(SEED)({ layer: 3, tensor: "keys" }, 1000);
  const again = randomBitsFrom(SEED)({ layer: 3, tensor: "keys" }, 100);
  expect(once.subarray(0, 100)).toEqual(again);
});

test("layers, keys and values, and seeds have bits of their own", () => {
  const other = new Uint8Array(16).fill(8);
  const streams = [SEED, other].flatMap((seed) =>
    [0, 1, 2, 255, 256].flatMap((layer) =>
      (["keys", "values"] as const).map((tensor) =>
        Buffer.from(randomBitsFrom(seed)({ layer, tensor }, 32)).toString("hex"),
      ),
    ),
  );
  expect(new Set(streams).size).toBe(20);
});

test("about half of the bits are set", () => {
  const bits = randomBitsFrom(SEED)({ layer: 0, tensor: "values" }, 100_000);
  const numSet = bits.reduce((sum, byte) => sum + byte.toString(2).replaceAll("0", "").length, 0);
  expect(Math.abs(numSet / 800_000 - 0.5)).toBeLessThan(0.01);
});

test.each([
  ["fp32", "Float32Array", 4],
  ["fp16", "Uint16Array", 8],
  ["bf16", "Uint16Array", 8],
  ["fp8_e4m3", "Uint8Array", 16],
  ["fp8_e5m2", "Uint8Array", 16],
] as const)("bits as %s are a %s", (dtype, arrayName, length) => {
  const elements = elementsOf(randomBitsFrom(SEED)({ layer: 0, tensor: "keys" }, 32).subarray(16), dtype);
  expect(elements[Symbol.toStringTag]).toBe(arrayName);
  expect(elements).toHaveLength(length);
  expect(elements.byteOffset).toBe(16);
});
