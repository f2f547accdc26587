import type { CheckSteps } from "./check-model.ts";
import type { Plan } from "./plan.ts";

/** What a check of a model proves, one by one. */
export const CHECKS = ["allocated", "tracked", "zeroed", "read_back", "released"] as const;

/** Whether one of them holds. */
export interface Verdict {
  readonly check: (typeof CHECKS)[number];
  readonly passed: boolean;
}

/** Which of the checks were made, and which of them passed. */
export function verdictsOf(plan: Plan, steps: Partial<CheckSteps>): Verdict[] {
  const { allocation, zeroes, append, release } = steps;
  const verdicts: Verdict[] = [];
  const add = (check: Verdict["check"], passed: boolean): number => verdicts.push({ check, passed });
  if (allocation !== undefined) {
    add("allocated", allocation.allocatedBytes === plan.totalBytes);
    add("tracked", allocation.trackedBytes === plan.totalBytes);
  }
  if (zeroes !== undefined) add("zeroed", zeroes.nonZero.length === 0 && zeroes.verifiedBytes === plan.totalBytes);
  if (append !== undefined) add("read_back", append.wrong.length === 0);
  if (release !== undefined) add("released", release.heldBytes === 0 && release.heldAllocations === 0);
  return verdicts;
}
