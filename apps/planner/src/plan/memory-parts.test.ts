import { MODEL_PRESETS, presetName } from "@kv/config/presets";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DEFAULT_STATE, type PlannerState } from "../state/planner-state.ts";
import { chartContexts, chartRange, tableContexts } from "./chart-range.ts";
import { bytesOf, contextCurve, partNames } from "./context-curve.ts";
import { freeBytes, memoryParts, usedBytes } from "./memory-parts.ts";
import { type Plan, planOfState } from "./plan-of-state.ts";

const anyChange: fc.Arbitrary<Partial<PlannerState>> = fc.record({
  model: fc.constantFrom(...MODEL_PRESETS.map((preset) => presetName(preset))),
  rule: fc.constantFrom("exact", "vllm", "sglang", "tensorrt-llm", "transformers"),
  context: fc.nat(300_000).map(String),
  sequences: fc.integer({ min: 1, max: 64 }).map(String),
  tp: fc.constantFrom("", "2", "8"),
  pp: fc.constantFrom("", "2"),
  weights: fc.constantFrom("", "1GB", "40GB", "600GB"),
  reserve: fc.constantFrom("", "2GiB"),
});

function planned(change: Partial<PlannerState>): Plan {
  const { plan } = planOfState({ ...DEFAULT_STATE, ...change });
  if (plan === null) throw new Error("this state is one that can be planned");
  return plan;
}

/** Calls back for states that their rule can plan. */
function forPlans(check: (plan: Plan) => void): void {
  fc.assert(
    fc.property(anyChange, (change) => {
      const { plan } = planOfState({ ...DEFAULT_STATE, ...change });
      if (plan !== null) check(plan);
    }),
  );
}

describe("memoryParts", () => {
  test("are together what the fullest card holds", () => {
    forPlans(({ report }) => {
      const used = usedBytes(memoryParts(report, report));
      const expected = report.weightsBytes + report.reserveBytes + report.largestDeviceBytes;
      expect(Math.abs(used - expected)).toBeLessThanOrEqual(1);
      expect(freeBytes(report)).toBe(report.budgetBytes - expected);
      if (freeBytes(report) >= 0) expect(report.fits).toBe(true);
    });
  });

  test("count each kind of layer once and stand in one order", () => {
    const { report } = planned({
      model: "gemma-3-27b-it",
      context: "131072",
      sequences: "1",
      weights: "16GB",
      reserve: "1GiB",
    });
    expect(memoryParts(report, report)).toEqual([
      { name: "weights", bytes: 16_000_000_000 },
      { name: "reserve", bytes: 2 ** 30 },
      { name: "sliding", bytes: 52 * 1024 * 16 * 128 * 2 * 2 },
      { name: "full", bytes: 10 * 131_072 * 16 * 128 * 2 * 2 },
    ]);
  });

  test("show what blocks are padded with", () => {
    const { report } = planned({ model: "gemma-3-27b-it", rule: "vllm", sequences: "4" });
    const names = memoryParts(report, report).map(({ name }) => name);
    expect(names).toEqual(["weights", "sliding", "full", "padding"]);
  });
});

describe("contextCurve", () => {
  test("is at the context asked for what the report says", () => {
    forPlans((plan) => {
      const points = contextCurve(plan, chartContexts(chartRange(plan), plan));
      const own = points.find(({ tokens }) => tokens === plan.report.tokens);
      expect(own?.parts).toEqual(memoryParts(plan.report, plan.report));
    });
  });

  test("crosses the card's limit where the report says", () => {
    const plan = planned({});
    const { maxContext, budgetBytes } = plan.report;
    expect(maxContext).not.toBeNull();
    const [last, next] = contextCurve(plan, [maxContext ?? 0, (maxContext ?? 0) + 1]).map(({ parts }) =>
      usedBytes(parts),
    );
    expect(last).toBeLessThanOrEqual(budgetBytes);
    expect(next).toBeGreaterThan(budgetBytes);
  });

  test("names its parts and gives each a figure at each point", () => {
    const plan = planned({ model: "qwen3-next-80b-a3b-instruct", weights: "" });
    const points = contextCurve(plan, [0, 1024, 4096]);
    expect(partNames(points)).toEqual(["state", "full"]);
    expect(bytesOf(points, "full")).toEqual([0, 1024, 4096].map((tokens) => 8 * tokens * 12 * 2 * 2 * 256 * 2));
    expect(bytesOf(points, "sliding")).toEqual([0, 0, 0]);
  });
});

describe("chartRange", () => {
  test("holds the context asked for, in steps that a slider can take", () => {
    forPlans((plan) => {
      const { most, step } = chartRange(plan);
      expect(most).toBeGreaterThanOrEqual(plan.report.tokens);
      expect(Number.isInteger(Math.log2(step))).toBe(true);
      expect(most % step).toBe(0);
      const contexts = chartContexts({ most, step }, plan);
      expect(contexts).toEqual([...new Set(contexts)].sort((left, right) => left - right));
      expect(contexts.length).toBeLessThan(300);
      expect(contexts.at(-1)).toBe(most);
      expect(tableContexts({ most, step }, plan)).toContain(plan.report.tokens);
    });
  });

  test("shows where the card ends if that is near what the model can take", () => {
    const near = planned({});
    expect(near.report.maxContext).toBe(9247);
    expect(chartRange(near)).toEqual({ most: 13_888, step: 64 });
    const far = planned({ card: "h100-80gb", sequences: "1" });
    expect(far.report.maxContext).toBeGreaterThan(100_000);
    expect(chartRange(far)).toEqual({ most: 8192, step: 64 });
  });
});
