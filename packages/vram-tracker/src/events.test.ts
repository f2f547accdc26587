import { describe, expect, test } from "vitest";
import { BudgetExceededError } from "./errors.ts";
import type { TrackerEvent } from "./events.ts";
import { VramTracker } from "./vram-tracker.ts";

const place = { device: "cuda:0", address: 0x1000n };
const allocation = { ...place, sizeBytes: 100, purpose: "kv_cache" };

describe("events", () => {
  test("tell what happened, after the ledger has changed", () => {
    const tracker = new VramTracker();
    const heard: unknown[] = [];
    for (const event of ["allocated", "freed", "leaked"] as const) {
      tracker.on(event, (record) => heard.push([event, record.serial, tracker.totalUsage]));
    }
    tracker.recordAllocation(allocation);
    tracker.recordFree(place);
    tracker.recordAllocation(allocation);
    tracker.recordLeak(place);
    expect(heard).toEqual([
      ["allocated", 1, 100],
      ["freed", 1, 0],
      ["allocated", 2, 100],
      ["leaked", 2, 0],
    ]);
  });

  test("a refusal is heard once per refused call, and counted", () => {
    const tracker = new VramTracker();
    const heard: unknown[] = [];
    tracker.on("refused", (error) => heard.push(error));
    tracker.setBudget({ allowedBytes: 99 });
    expect(() => tracker.checkBudget(allocation)).toThrow(BudgetExceededError);
    expect(() => tracker.recordAllocation(allocation)).toThrow(BudgetExceededError);
    expect(heard).toHaveLength(2);
    expect(heard[0]).toBeInstanceOf(BudgetExceededError);
    expect(tracker.usage().numRefused).toBe(2);
  });

  test("end with the function that was given, for that listener only", () => {
    const tracker = new VramTracker();
    const heard: string[] = [];
    const listener = (): void => void heard.push("same");
    const end = tracker.on("allocated", listener);
    tracker.on("allocated", listener);
    end();
    end();
    tracker.recordAllocation(allocation);
    expect(heard).toEqual(["same"]);
  });

  test("a listener that throws spoils nothing and is reported", () => {
    const errors: unknown[] = [];
    const tracker = new VramTracker({ onListenerError: (error) => errors.push(error) });
    const heard: number[] = [];
    const broken = new Error("broken listener");
    tracker.on("allocated", () => {
      throw broken;
    });
    tracker.on("allocated", (record) => heard.push(record.sizeBytes));
    tracker.on("refused", () => {
      throw broken;
    });
    tracker.recordAllocation(allocation);
    tracker.setBudget({ allowedBytes: 0 });
    expect(() => tracker.checkBudget(allocation)).toThrow(BudgetExceededError);
    expect(heard).toEqual([100]);
    expect(errors).toEqual([broken, broken]);
    expect(tracker.totalUsage).toBe(100);
    tracker.checkInvariants();
  });

  test("a listener may call the tracker and add listeners", () => {
    const tracker = new VramTracker();
    tracker.on("allocated", (record) => {
      tracker.on("allocated", () => undefined);
      if (record.sizeBytes === 100) tracker.recordFree(record);
    });
    tracker.recordAllocation(allocation);
    expect(tracker.allocationCount).toBe(0);
    tracker.checkInvariants();
  });

  test("an event that does not exist is an error", () => {
    expect(() => new VramTracker().on("alocated" as TrackerEvent, () => undefined)).toThrow(
      /event must be "allocated"/,
    );
  });
});
