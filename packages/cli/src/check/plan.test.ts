import { validateConfig } from "@kv/config";
import { expect, test } from "vitest";
import type { UniformModel } from "../models/uniform-model.ts";
import { planCache } from "./plan.ts";

function modelOf(config: Parameters<typeof validateConfig>[0]): UniformModel {
  return { name: "model", source: "preset", config: validateConfig(config), assumptions: [] };
}

test("the formula shows every number of the model", () => {
  const plan = planCache(modelOf({ numLayers: 24, maxContextLength: 2048, numKvHeads: 2, headDim: 64, dtype: "bf16" }));
  expect(plan).toMatchObject({
    rule: "exact",
    formula: "2 (keys and values) × 24 layers × 2,048 tokens × 2 KV heads × 64 elements × 2 bytes (bf16)",
    totalBytes: 25_165_824,
    layerStrideBytes: 1_048_576,
    bytesPerToken: 12_288,
  });
});

test("the numbers of the formula multiply to the plan", () => {
  const plan = planCache(
    modelOf({ numLayers: 7, maxContextLength: 131_072, numKvHeads: 3, headDim: 96, dtype: "fp32" }),
  );
  const factors = plan.formula.split(" × ").map((factor) => Number.parseInt(factor.replaceAll(",", ""), 10));
  expect(factors.reduce((product, factor) => product * factor)).toBe(plan.totalBytes);
});
