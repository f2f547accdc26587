import { expect, test } from "vitest";
import type { CheckSteps } from "./check-model.ts";
import type { Plan } from "./plan.ts";
import { verdictsOf } from "./verdicts.ts";

const PLAN = { totalBytes: 100 } as Plan;
const STEPS = {
  allocation: { allocatedBytes: 100, trackedBytes: 100 },
  zeroes: { verifiedBytes: 100, nonZero: [] },
  append: { wrong: [] },
  release: { heldBytes: 0, heldAllocations: 0 },
} as unknown as CheckSteps;

const failedOf = (steps: object): string[] =>
  verdictsOf(PLAN, steps as CheckSteps)
    .filter(({ passed }) => !passed)
    .map(({ check }) => check);

test("all of them pass", () => {
  expect(verdictsOf(PLAN, STEPS).map(({ check }) => check)).toEqual([
    "allocated",
    "tracked",
    "zeroed",
    "read_back",
    "released",
  ]);
  expect(failedOf(STEPS)).toEqual([]);
});

test.each([
  ["allocated", { allocation: { allocatedBytes: 101, trackedBytes: 100 } }],
  ["tracked", { allocation: { allocatedBytes: 100, trackedBytes: 99 } }],
  ["zeroed", { zeroes: { verifiedBytes: 100, nonZero: [{}] } }],
  ["zeroed", { zeroes: { verifiedBytes: 99, nonZero: [] } }],
  ["read_back", { append: { wrong: [{}] } }],
  ["released", { release: { heldBytes: 1, heldAllocations: 0 } }],
  ["released", { release: { heldBytes: 0, heldAllocations: 1 } }],
])("%s fails with %j", (check, change) => {
  expect(failedOf({ ...STEPS, ...change })).toEqual([check]);
});

test("what was not done has no verdict", () => {
  expect(verdictsOf(PLAN, {})).toEqual([]);
});
