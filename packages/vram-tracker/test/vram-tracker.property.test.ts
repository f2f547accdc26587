import fc from "fast-check";
import { expect, test } from "vitest";
import { type Scope, VramTracker } from "../src/index.ts";
import { type Place, TrackerModel, type Wanted } from "./tracker-model.ts";

const DEVICES = ["host", "cuda:0", "cuda:1"];
const PURPOSES = ["kv_cache", "model_weights", "scratch"];
const SCOPES: Scope[] = [undefined, ...DEVICES].flatMap((device) =>
  [undefined, ...PURPOSES].map((purpose) => ({
    ...(device === undefined ? {} : { device }),
    ...(purpose === undefined ? {} : { purpose }),
  })),
);

/** One call on tracker and model, which must agree on whether it succeeds; then all figures must agree. */
class Step implements fc.Command<TrackerModel, VramTracker> {
  constructor(
    readonly text: string,
    readonly expectedCode: (model: TrackerModel) => string | undefined,
    readonly act: (tracker: VramTracker) => unknown,
    readonly change: (model: TrackerModel) => void,
  ) {}

  check(): boolean {
    return true;
  }

  run(model: TrackerModel, tracker: VramTracker): void {
    const expected = this.expectedCode(model);
    expect(codeThrownBy(() => this.act(tracker))).toBe(expected);
    if (expected === undefined) this.change(model);
    if (expected === "BUDGET_EXCEEDED") model.numRefused += 1;
    model.notePeaks(SCOPES, this.text === "resetPeaks");
    expectSameFigures(model, tracker);
  }

  toString(): string {
    return this.text;
  }
}

function codeThrownBy(action: () => unknown): string | undefined {
  try {
    action();
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
  return undefined;
}

function expectSameFigures(model: TrackerModel, tracker: VramTracker): void {
  tracker.checkInvariants();
  expect(tracker.allocationCount).toBe(model.held.length);
  expect(tracker.totalUsage).toBe(model.usedBytes({}));
  for (const scope of SCOPES) expect(tracker.peakUsage(scope)).toBe(model.peak(scope));
  for (const purpose of PURPOSES) {
    expect(tracker.usageByPurpose(purpose)).toBe(model.usedBytes({ purpose }));
    for (const device of DEVICES) {
      expect(tracker.usageByPurpose(purpose, device)).toBe(model.usedBytes({ device, purpose }));
    }
  }
  for (const device of DEVICES) expect(tracker.usageByDevice(device)).toBe(model.usedBytes({ device }));
  expect(tracker.allocations()).toMatchObject(model.held);
  const { numRefused, numLeaked, budgets } = tracker.usage();
  expect({ numRefused, numLeaked }).toEqual({ numRefused: model.numRefused, numLeaked: model.numLeaked });
  expect(budgets).toHaveLength(model.budgets.length);
}

const whenHeld = (place: Place) => (model: TrackerModel) => (model.isHeld(place) ? undefined : "NOT_RECORDED");
const always = (): undefined => undefined;

function allocate(wanted: Wanted): Step {
  const expected = (model: TrackerModel): string | undefined => {
    if (model.isHeld(wanted)) return "ALREADY_RECORDED";
    return model.fits(wanted) ? undefined : "BUDGET_EXCEEDED";
  };
  const text = `allocate(${wanted.device}, ${wanted.address}, ${wanted.sizeBytes}, ${wanted.purpose})`;
  return new Step(
    text,
    expected,
    (tracker) => tracker.recordAllocation(wanted),
    (model) => model.held.push(wanted),
  );
}

function check(wanted: Wanted): Step {
  const expected = (model: TrackerModel): string | undefined => (model.fits(wanted) ? undefined : "BUDGET_EXCEEDED");
  const text = `check(${wanted.device}, ${wanted.sizeBytes}, ${wanted.purpose})`;
  return new Step(
    text,
    expected,
    (tracker) => tracker.checkBudget(wanted),
    () => undefined,
  );
}

function free(place: Place): Step {
  const text = `free(${place.device}, ${place.address})`;
  return new Step(
    text,
    whenHeld(place),
    (tracker) => tracker.recordFree(place),
    (model) => model.remove(place),
  );
}

function leak(place: Place): Step {
  const change = (model: TrackerModel): void => {
    model.remove(place);
    model.numLeaked += 1;
  };
  return new Step(
    `leak(${place.device}, ${place.address})`,
    whenHeld(place),
    (tracker) => tracker.recordLeak(place),
    change,
  );
}

function setBudget(scope: Scope, allowedBytes: number): Step {
  const budget = { ...scope, allowedBytes };
  const text = `setBudget(${JSON.stringify(budget)})`;
  return new Step(
    text,
    always,
    (tracker) => tracker.setBudget(budget),
    (model) => model.setBudget(budget),
  );
}

function removeBudget(scope: Scope): Step {
  const text = `removeBudget(${JSON.stringify(scope)})`;
  return new Step(
    text,
    always,
    (tracker) => tracker.removeBudget(scope),
    (model) => model.removeBudget(scope),
  );
}

const resetPeaks = new Step(
  "resetPeaks",
  always,
  (tracker) => tracker.resetPeaks(),
  () => undefined,
);

const anyPlace = fc.record({ device: fc.constantFrom(...DEVICES), address: fc.bigInt({ min: 0n, max: 7n }) });
const anyScope = fc.constantFrom(...SCOPES);
const anyBytes = fc.integer({ min: 0, max: 1000 });
const anyWanted = fc
  .tuple(anyPlace, anyBytes, fc.constantFrom(...PURPOSES))
  .map(([place, sizeBytes, purpose]) => ({ ...place, sizeBytes, purpose }));
const anySteps = fc.commands(
  [
    anyWanted.map(allocate),
    anyWanted.map(allocate),
    anyWanted.map(check),
    anyPlace.map(free),
    anyPlace.map(leak),
    fc
      .tuple(anyScope, fc.integer({ min: 0, max: 4000 }))
      .map(([scope, allowedBytes]) => setBudget(scope, allowedBytes)),
    anyScope.map(removeBudget),
    fc.constant(resetPeaks),
  ],
  { maxCommands: 50, size: "max" },
);

test("any sequence of calls agrees with lists that are walked every time", () => {
  fc.assert(
    fc.property(anySteps, (steps) => {
      fc.modelRun(() => ({ model: new TrackerModel(), real: new VramTracker() }), steps);
    }),
    { numRuns: 80 },
  );
});
