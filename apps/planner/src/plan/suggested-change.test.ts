import { describe, expect, test } from "vitest";
import { DEFAULT_STATE, type PlannerState } from "../state/planner-state.ts";
import { planOfState } from "./plan-of-state.ts";
import { suggestedChange } from "./suggested-change.ts";

const tooMuch: readonly Partial<PlannerState>[] = [
  { sequences: "64" },
  { context: "100000", keys: "fp32" },
  { model: "gemma-3-27b-it", rule: "llama.cpp", context: "32768", knobs: { "llama.cpp.swaFull": "true" } },
  { model: "gemma-3-27b-it", rule: "vllm", context: "65536", knobs: { "vllm.disableHybridKvCacheManager": "true" } },
  { model: "gemma-3-27b-it", rule: "tensorrt-llm", context: "131072" },
  {
    model: "gpt-oss-20b",
    rule: "sglang",
    context: "131072",
    sequences: "4",
    knobs: { "sglang.disableHybridSwaMemory": "true" },
  },
];

describe("suggestedChange", () => {
  test.each(tooMuch)("makes of %j what the suggestion promises", (change) => {
    const state = { ...DEFAULT_STATE, ...change };
    const suggestions = planOfState(state).plan?.report.suggestions ?? [];
    expect(suggestions.length).toBeGreaterThan(1);
    for (const suggestion of suggestions) {
      const { plan } = planOfState({ ...state, ...suggestedChange(state, suggestion) });
      expect(plan?.report.largestDeviceBytes).toBe(suggestion.largestDeviceBytes);
      expect(plan?.report.fits).toBe(suggestion.fits);
    }
  });
});
