import { describe, expect, test } from "vitest";
import { AlreadyRecordedError, BudgetExceededError, InvalidInputError, NotRecordedError } from "./errors.ts";
import { VramTracker } from "./vram-tracker.ts";

const MiB = 2 ** 20;
const first = { device: "cuda:0", address: 0x1000n, sizeBytes: 24 * MiB, purpose: "kv_cache" };
const second = { device: "cuda:0", address: 0x2000n, sizeBytes: 8 * MiB, purpose: "model_weights" };
const elsewhere = { device: "cuda:1", address: 0x1000n, sizeBytes: 2 * MiB, purpose: "kv_cache" };

/** The error that `action` throws. */
function errorOf(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return undefined;
}

describe("recording", () => {
  test("LedgerAllocation: an allocation counts in the total, its purpose and its device", () => {
    const tracker = new VramTracker();
    tracker.recordAllocation(first);
    tracker.recordAllocation(second);
    tracker.recordAllocation(elsewhere);
    expect(tracker.totalUsage).toBe(34 * MiB);
    expect(tracker.allocationCount).toBe(3);
    expect(tracker.usageByPurpose("kv_cache")).toBe(26 * MiB);
    expect(tracker.usageByPurpose("kv_cache", "cuda:1")).toBe(2 * MiB);
    expect(tracker.usageByDevice("cuda:0")).toBe(32 * MiB);
    expect(tracker.usageBreakdown()).toEqual({ kv_cache: 26 * MiB, model_weights: 8 * MiB });
    expect(Object.keys(tracker.usageBreakdown("cuda:0"))).toEqual(["kv_cache", "model_weights"]);
  });

  test("LedgerDeallocation: a free gives the record and leaves nothing", () => {
    const tracker = new VramTracker();
    const record = tracker.recordAllocation(first);
    expect(tracker.recordFree(first)).toBe(record);
    expect([tracker.totalUsage, tracker.allocationCount, tracker.usageByPurpose("kv_cache")]).toEqual([0, 0, 0]);
    expect(tracker.usageBreakdown()).toEqual({});
  });

  test("a record keeps what was told and when, and cannot be changed", () => {
    const tracker = new VramTracker({ clock: () => 42 });
    const record = tracker.recordAllocation({ ...first, owner: "chat", description: "layer 0" });
    expect(record).toEqual({
      serial: 1,
      ...first,
      owner: "chat",
      description: "layer 0",
      recordedAtMs: 42,
      stack: undefined,
    });
    expect(Object.isFrozen(record)).toBe(true);
  });

  test("a purpose that was not told is unknown; any name is a purpose", () => {
    const tracker = new VramTracker();
    tracker.recordAllocation({ device: "host", address: 1n, sizeBytes: 5 });
    tracker.recordAllocation({ device: "host", address: 2n, sizeBytes: 6, purpose: "__proto__" });
    expect(tracker.usageByPurpose("unknown")).toBe(5);
    expect(Object.entries(tracker.usageBreakdown())).toEqual([
      ["__proto__", 6],
      ["unknown", 5],
    ]);
  });

  test("what was never said is zero", () => {
    const tracker = new VramTracker();
    expect(tracker.usageByPurpose("kv_cache")).toBe(0);
    expect(tracker.usageByPurpose("kv_cache", "cuda:7")).toBe(0);
    expect(tracker.usageByDevice("cuda:7")).toBe(0);
    expect(tracker.usageBreakdown("cuda:7")).toEqual({});
    expect(tracker.peakUsage({ device: "cuda:7", purpose: "kv_cache" })).toBe(0);
  });

  test("the same address is held once per device", () => {
    const tracker = new VramTracker();
    tracker.recordAllocation(first);
    tracker.recordAllocation(elsewhere);
    const error = errorOf(() => tracker.recordAllocation({ ...first, sizeBytes: 7 }));
    expect(error).toBeInstanceOf(AlreadyRecordedError);
    expect(error).toMatchObject({ code: "ALREADY_RECORDED", device: "cuda:0", address: 0x1000n, sizeBytes: 7 });
    expect(error).toMatchObject({ heldBytes: 24 * MiB, message: expect.stringContaining("cuda:0 0x1000") });
    expect(tracker.totalUsage).toBe(26 * MiB);
  });

  test.each([
    ["never recorded", { device: "cuda:0", address: 0x3000n }],
    ["on another device", { device: "cuda:1", address: 0x2000n }],
    ["freed already", { device: "cuda:0", address: 0x1000n }],
  ])("freeing what was %s is an error", (_, place) => {
    const tracker = new VramTracker();
    tracker.recordAllocation(second);
    tracker.recordAllocation(first);
    tracker.recordFree(first);
    for (const free of [() => tracker.recordFree(place), () => tracker.recordLeak(place)]) {
      const error = errorOf(free);
      expect(error).toBeInstanceOf(NotRecordedError);
      expect(error).toMatchObject({ code: "NOT_RECORDED", ...place });
    }
    expect(tracker.totalUsage).toBe(8 * MiB);
    tracker.checkInvariants();
  });

  test.each([
    ["sizeBytes", { ...first, sizeBytes: -1 }],
    ["sizeBytes", { ...first, sizeBytes: 0.5 }],
    ["sizeBytes", { ...first, sizeBytes: Number.NaN }],
    ["sizeBytes", { ...first, sizeBytes: 2 ** 53 }],
    ["sizeBytes", { ...first, sizeBytes: 4n as unknown as number }],
    ["address", { ...first, address: 4096 as unknown as bigint }],
    ["address", { ...first, address: -1n }],
    ["address", { ...first, address: 2n ** 64n }],
    ["device", { ...first, device: "" }],
    ["device", { ...first, device: undefined as unknown as string }],
    ["purpose", { ...first, purpose: "" }],
    ["owner", { ...first, owner: "" }],
    ["description", { ...first, description: 3 as unknown as string }],
  ])("%s is checked: %o", (field, allocation) => {
    const tracker = new VramTracker();
    const error = errorOf(() => tracker.recordAllocation(allocation));
    expect(error).toBeInstanceOf(InvalidInputError);
    expect(error).toMatchObject({ code: "INVALID_INPUT", field, message: expect.stringMatching(`^${field} must be`) });
    expect(tracker.allocationCount).toBe(0);
  });

  test("a total that a number cannot hold exactly is refused", () => {
    const tracker = new VramTracker();
    tracker.recordAllocation({ ...first, sizeBytes: Number.MAX_SAFE_INTEGER });
    expect(() => tracker.recordAllocation({ ...elsewhere, sizeBytes: 1 })).toThrow("the total stays exact");
    tracker.recordAllocation({ ...elsewhere, sizeBytes: 0 });
    expect(tracker.totalUsage).toBe(Number.MAX_SAFE_INTEGER);
  });

  test("a clock that throws leaves the ledger as it was", () => {
    const times = [42];
    const clock = (): number => {
      const time = times.pop();
      if (time === undefined) throw new Error("no time");
      return time;
    };
    const tracker = new VramTracker({ clock });
    expect(tracker.recordAllocation(elsewhere).recordedAtMs).toBe(42);
    expect(() => tracker.recordAllocation(first)).toThrow("no time");
    expect(tracker.allocationCount).toBe(1);
    times.push(43);
    expect(tracker.recordAllocation(first).serial).toBe(2);
  });
});

describe("budgets", () => {
  test.each([
    ["everything", {}, "all devices"],
    ["a device", { device: "cuda:0" }, "cuda:0"],
    ["a purpose", { purpose: "kv_cache" }, "kv_cache"],
    ["a purpose on a device", { device: "cuda:0", purpose: "kv_cache" }, "kv_cache on cuda:0"],
  ])("of %s: the last byte fits, the next is refused", (_, scope, words) => {
    const tracker = new VramTracker();
    tracker.setBudget({ ...scope, allowedBytes: 30 * MiB });
    tracker.recordAllocation(first);
    const wanted = { ...first, address: 0x9000n, sizeBytes: 6 * MiB };
    tracker.checkBudget(wanted);
    for (const ask of [tracker.checkBudget, tracker.recordAllocation]) {
      const error = errorOf(() => ask.call(tracker, { ...wanted, sizeBytes: 6 * MiB + 1 }));
      expect(error).toBeInstanceOf(BudgetExceededError);
      expect(error).toMatchObject({ code: "BUDGET_EXCEEDED", wantedBytes: 6 * MiB + 1, usedBytes: 24 * MiB });
      expect(error).toMatchObject({ allowedBytes: 30 * MiB, message: expect.stringContaining(`budget of ${words} `) });
      const { device, purpose } = error as BudgetExceededError;
      expect({ device, purpose }).toEqual({ device: undefined, purpose: undefined, ...scope });
    }
    expect(tracker.totalUsage).toBe(24 * MiB);
    tracker.recordAllocation(wanted);
    expect(tracker.totalUsage).toBe(30 * MiB);
  });

  test("of another device or purpose do not count", () => {
    const tracker = new VramTracker();
    tracker.setBudget({ device: "cuda:1", allowedBytes: 0 });
    tracker.setBudget({ purpose: "model_weights", allowedBytes: 0 });
    tracker.setBudget({ device: "cuda:0", purpose: "model_weights", allowedBytes: 0 });
    expect(tracker.recordAllocation(first).sizeBytes).toBe(24 * MiB);
  });

  test("the narrowest one that is broken is named", () => {
    const tracker = new VramTracker();
    tracker.setBudget({ allowedBytes: 1 });
    tracker.setBudget({ device: "cuda:0", allowedBytes: 1 });
    expect(errorOf(() => tracker.checkBudget(first))).toMatchObject({ device: "cuda:0", purpose: undefined });
    tracker.setBudget({ device: "cuda:0", purpose: "kv_cache", allowedBytes: 1 });
    expect(errorOf(() => tracker.checkBudget(first))).toMatchObject({ device: "cuda:0", purpose: "kv_cache" });
  });

  test("a free makes room again; lowering refuses what comes, removing allows it", () => {
    const tracker = new VramTracker();
    tracker.setBudget({ purpose: "kv_cache", allowedBytes: 24 * MiB });
    tracker.recordAllocation(first);
    expect(() => tracker.recordAllocation(elsewhere)).toThrow(BudgetExceededError);
    tracker.recordFree(first);
    tracker.recordAllocation(elsewhere);
    tracker.setBudget({ purpose: "kv_cache", allowedBytes: 0 });
    expect(() => tracker.checkBudget(first)).toThrow(BudgetExceededError);
    tracker.removeBudget({ purpose: "kv_cache" });
    tracker.removeBudget({ device: "never said" });
    tracker.checkBudget(first);
    expect(tracker.usage().budgets).toEqual([]);
  });

  test.each([Number.NaN, -1, 1.5, Number.POSITIVE_INFINITY])("allowedBytes %d is no limit", (allowedBytes) => {
    expect(() => new VramTracker().setBudget({ allowedBytes })).toThrow(InvalidInputError);
  });
});

describe("peaks", () => {
  test("outlast a free and start again from what is held", () => {
    const tracker = new VramTracker();
    tracker.recordAllocation(first);
    tracker.recordAllocation(second);
    tracker.recordFree(first);
    tracker.recordAllocation(elsewhere);
    const peaks = (): number[] =>
      [{}, { device: "cuda:0" }, { purpose: "kv_cache" }, { device: "cuda:1", purpose: "kv_cache" }].map(
        (scope) => tracker.peakUsage(scope) / MiB,
      );
    expect(peaks()).toEqual([32, 32, 24, 2]);
    tracker.resetPeaks();
    expect(peaks()).toEqual([10, 8, 2, 2]);
  });
});

describe("owners", () => {
  test("are summed up, the largest first", () => {
    const tracker = new VramTracker();
    tracker.recordAllocation({ ...second, owner: "a" });
    tracker.recordAllocation({ ...first, owner: "b" });
    tracker.recordAllocation({ ...elsewhere, owner: "a" });
    tracker.recordAllocation({ ...elsewhere, address: 5n, sizeBytes: 1 });
    expect(tracker.usageByOwner()).toEqual([
      { owner: "b", usedBytes: 24 * MiB, numAllocations: 1 },
      { owner: "a", usedBytes: 10 * MiB, numAllocations: 2 },
      { owner: undefined, usedBytes: 1, numAllocations: 1 },
    ]);
    expect(tracker.usageByOwner("cuda:1")[0]).toEqual({ owner: "a", usedBytes: 2 * MiB, numAllocations: 1 });
    expect(tracker.allocations({ owner: "a", device: "cuda:1" })).toHaveLength(1);
    expect(tracker.allocations({ purpose: "kv_cache" }).map(({ serial }) => serial)).toEqual([2, 3, 4]);
  });
});
