import { describe, expect, test } from "vitest";
import { modelShape } from "../test/models.ts";
import { type SizeOptions, sizeReport } from "./size-report.ts";

const LLAMA = modelShape("meta-llama/Meta-Llama-3-8B");

test("a report has every figure of the forward direction", () => {
  expect(sizeReport(LLAMA, { model: "llama-3-8b", tokens: 1000, sequences: 4, sharding: { tensor: 2 } })).toEqual({
    schemaVersion: 1,
    model: "llama-3-8b",
    rule: "exact",
    ruleVersion: "this version of @kv/config",
    dtype: "fp16",
    tokens: 1000,
    sequences: 4,
    bytesPerToken: 131_072,
    bytesPerSequence: 131_072_000,
    totalBytes: 524_288_000,
    largestDeviceBytes: 262_144_000,
    numDevices: 2,
    layers: [{ kind: "full", count: 32, bytes: 524_288_000 }],
    figures: [],
    assumptions: [],
  });
});

describe("what is not given", () => {
  test("is the model's context, one sequence, the model's type as its name", () => {
    const report = sizeReport(LLAMA);
    expect(report).toMatchObject({ model: "llama", tokens: 8192, sequences: 1 });
  });

  test("is 4096 tokens where the model says nothing, and the report says so", () => {
    const report = sizeReport({ ...LLAMA, maxContextTokens: null });
    expect(report.tokens).toBe(4096);
    expect(report.assumptions).toEqual(["4096 tokens: neither the model nor the caller says how many"]);
    expect(sizeReport({ ...LLAMA, maxContextTokens: null }, { tokens: 1 }).assumptions).toEqual([]);
  });
});

test("keys and values of two types are both named", () => {
  expect(sizeReport(LLAMA, { format: { keys: "q8_0", values: "q4_0" } }).dtype).toBe("q8_0/q4_0");
});

test("no sequences take nothing, no tokens take nothing", () => {
  expect(sizeReport(LLAMA, { sequences: 0 }).totalBytes).toBe(0);
  expect(sizeReport(LLAMA, { tokens: 0 })).toMatchObject({ totalBytes: 0, bytesPerToken: 131_072 });
});

test("a size beyond all numbers is an error that holds it", () => {
  expect(() => sizeReport(LLAMA, { tokens: 2 ** 50 })).toThrow(
    expect.objectContaining({ code: "SIZE_OVERFLOW", allowedBytes: Number.MAX_SAFE_INTEGER }),
  );
  expect(sizeReport(LLAMA, { tokens: 2 ** 35 }).totalBytes).toBe(2 ** 52);
});

test.each<[string, unknown]>([
  ["tokens", -1],
  ["tokens", 1.5],
  ["sequences", Number.NaN],
  ["encoderTokens", "1500"],
  ["tokensPerBlock", 0],
  ["rule", "ollama"],
  ["knobs", 3],
  ["sharding", "tp4"],
])("%s = %j is refused by name", (field, value) => {
  expect(() => sizeReport(LLAMA, { [field]: value } as SizeOptions)).toThrow(
    expect.objectContaining({ code: "INVALID_CONFIG", field }),
  );
});

test("anything but a shape is refused", () => {
  for (const shape of [null, 5, {}, { layers: 3 }, { layers: [{ kind: "dense" }] }, { layers: [{ kind: "full" }] }]) {
    expect(() => sizeReport(shape as never)).toThrow(expect.objectContaining({ code: "INVALID_CONFIG" }));
  }
});
