import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decode, encode, poison, rounded } from "./elements.ts";

describe.each(["fp16", "bf16", "fp32"] as const)("elements of %s", (dtype) => {
  test("every number that the type has is written and read as itself", () => {
    if (dtype === "fp32") return;
    const words = new Uint16Array(65_536).map((_, i) => i);
    const numbers = decode(new Uint8Array(words.buffer), dtype);
    const finite = numbers.filter((value) => Number.isFinite(value));
    expect(finite.length).toBe(dtype === "fp16" ? 63_488 : 65_280);
    const read = decode(encode(finite, dtype), dtype);
    expect(read.every((value, i) => value === finite[i])).toBe(true);
    expect(finite.every((value) => rounded(value, dtype) === value)).toBe(true);
  });

  test("rounding takes the nearest", () => {
    fc.assert(
      fc.property(fc.double({ min: -1000, max: 1000, noNaN: true }), (value) => {
        const near = rounded(value, dtype);
        expect(decode(encode([near], dtype), dtype)[0] === near).toBe(true);
        if (dtype === "fp32") expect(near === Math.fround(value) || Math.abs(near) < 2 ** -120).toBe(true);
      }),
    );
  });

  test("poison has no finite number", () => {
    expect(decode(poison(48, dtype), dtype).some((value) => Number.isFinite(value))).toBe(false);
  });
});
