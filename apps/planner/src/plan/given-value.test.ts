import { describe, expect, test } from "vitest";
import { givenBytes, givenFlag, givenNumber, givenNumbers } from "./given-value.ts";

describe("givenNumber", () => {
  test.each([
    ["", undefined],
    ["  ", undefined],
    ["8192", 8192],
    ["131,072", 131072],
    ["131 072", 131072],
    ["1_000", 1000],
    ["-5", -5],
    ["0.5", 0.5],
    ["1e6", 1e6],
    ["8k", "8k"],
    ["0x10", "0x10"],
    ["Infinity", "Infinity"],
    ["eight", "eight"],
  ])("%j is %j", (text, value) => {
    expect(givenNumber(text)).toBe(value);
  });
});

test("givenNumbers reads a list, and leaves to the library what is none", () => {
  expect(givenNumbers(" ")).toBeUndefined();
  expect(givenNumbers("512")).toEqual([512]);
  expect(givenNumbers("512, 0.5,x,")).toEqual([512, 0.5, "x", ""]);
});

test("givenBytes reads sizes and refuses others in the library's words", () => {
  expect(givenBytes(" ")).toBeUndefined();
  expect(givenBytes("16.5GB")).toBe(16_500_000_000);
  expect(() => givenBytes("80G")).toThrow('got "80G"');
});

test("givenFlag passes on what is neither true nor false", () => {
  expect([givenFlag(""), givenFlag("true"), givenFlag("false"), givenFlag("maybe")]).toEqual([
    undefined,
    true,
    false,
    "maybe",
  ]);
});
