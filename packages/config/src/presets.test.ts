import { describe, expect, test } from "vitest";
import { modelShape } from "../test/models.ts";
import { calculateSize } from "./kv-cache-size.ts";
import { CARDS, findCard, findPreset, MODEL_PRESETS, presetName, presetShape } from "./presets.ts";
import { sizeReport } from "./size-report.ts";
import { presets } from "./uniform-presets.ts";
import { uniformFullAttention } from "./uniform-shape.ts";

describe("MODEL_PRESETS", () => {
  test.each(MODEL_PRESETS)("$id has the layers of its published configuration", (preset) => {
    expect(presetShape(preset).layers).toEqual(modelShape(preset.id).layers);
    expect(preset.source).not.toBe("");
  });

  test("have short names of their own", () => {
    expect(new Set(MODEL_PRESETS.map(presetName)).size).toBe(MODEL_PRESETS.length);
    expect(findPreset("META-LLAMA/Meta-Llama-3-8B")).toBe(findPreset("llama-3-8b"));
    expect(findPreset("no such model")).toBeUndefined();
  });

  test.each(Object.entries(presets))("%s is the uniform preset of the same name", (name, config) => {
    const preset = findPreset(name);
    const shape = preset && presetShape(preset);
    expect(shape && uniformFullAttention(shape, config.maxContextLength)).toEqual({ ...config, dtype: "fp16" });
    expect(shape && sizeReport(shape, { tokens: config.maxContextLength }).totalBytes).toBe(calculateSize(config));
  });
});

test("uniformFullAttention names the first layer that is another", () => {
  const refused = (id: string): unknown => uniformFullAttention(modelShape(id), 2048);
  expect(() => refused("google/gemma-3-27b-it")).toThrow('layers[0].kind is "sliding", expected full attention');
  expect(() => refused("apple/OpenELM-270M")).toThrow(/layers\[\d+\]\.numKvHeads is 4, expected 3/);
  expect(() => refused("MiniMaxAI/MiniMax-M3")).toThrow("layers[3].indexerKeyDim is 128, expected 0");
});

test("cards have ids of their own, bytes and a source", () => {
  expect(new Set(CARDS.map(({ id }) => id)).size).toBe(CARDS.length);
  for (const { bytes, source } of CARDS) {
    expect(Number.isSafeInteger(bytes)).toBe(true);
    expect(source).toMatch(/^https:/);
  }
  expect(findCard("H100-80GB")?.bytes).toBe(85_520_809_984);
  // Sold as 141 GB and 180 GB: the driver reports these MiB.
  expect(findCard("h200")?.bytes).toBe(143_771 * 2 ** 20);
  expect(findCard("b200")?.bytes).toBe(183_359 * 2 ** 20);
  expect(CARDS.map(({ bytes }) => bytes)).toEqual(
    CARDS.map(({ bytes }) => bytes).toSorted((left, right) => left - right),
  );
});
