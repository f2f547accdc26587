import type { PlanSuggestion } from "@kv/config";
import type { PlannerState } from "../state/planner-state.ts";
import { knobKey } from "./engine-knobs.ts";

/** What a suggestion changes in the page's state; null for one that the page has no input for. */
export function suggestedChange(state: PlannerState, { change, to }: PlanSuggestion): Partial<PlannerState> | null {
  switch (change) {
    case "format":
      return { keys: to, values: "" };
    case "tensor":
      return { tp: to };
    case "sequences":
      return { sequences: to };
    case "context":
      return { context: to };
    case "windows": {
      const [knob = "", value = ""] = to.split("=");
      return { knobs: { ...state.knobs, [knobKey(state.rule, knob)]: value } };
    }
    default:
      return null;
  }
}
