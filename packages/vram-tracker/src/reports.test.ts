import { describe, expect, test } from "vitest";
import { VramTracker } from "./vram-tracker.ts";

const MiB = 2 ** 20;
const cache = { device: "cuda:0", address: 0x7f00n, sizeBytes: 24 * MiB, purpose: "kv_cache", owner: "chat" };
const scratch = { device: "cuda:0", address: 0x8000n, sizeBytes: 512 };

/** A tracker whose clock goes on by half a second at each look. */
function steadyTracker(options: { recordStacks?: boolean } = {}): VramTracker {
  let nowMs = 1000;
  const clock = (): number => {
    nowMs += 500;
    return nowMs;
  };
  return new VramTracker({ ...options, clock });
}

describe("usageReport", () => {
  test("shows devices, purposes, owners, budgets, refusals and leaks", () => {
    const tracker = steadyTracker();
    tracker.setBudget({ device: "cuda:0", allowedBytes: 32 * MiB });
    tracker.recordAllocation(cache);
    tracker.recordAllocation(scratch);
    tracker.recordLeak(scratch);
    expect(() => tracker.checkBudget({ device: "cuda:0", sizeBytes: 9 * MiB })).toThrow("raise the budget");
    expect(tracker.usageReport()).toBe(
      `
device memory       used     bytes  allocations       peak
cuda:0         24.00 MiB  25165824            1  24.00 MiB
  kv_cache     24.00 MiB  25165824            1  24.00 MiB
  unknown            0 B         0            0      512 B
total          24.00 MiB  25165824            1  24.00 MiB

owner       used     bytes  allocations
chat   24.00 MiB  25165824            1

budget       used    allowed      left
cuda:0  24.00 MiB  32.00 MiB  8.00 MiB

refused by a budget: 1
leaked and caught: 1 (512 B)
`.trim(),
    );
  });

  test("of an empty tracker is a table with zeros", () => {
    expect(new VramTracker().usageReport()).toMatch(/^device memory .*\ntotal +0 B +0 +0 +0 B$/);
  });

  test("names the ten largest owners", () => {
    const tracker = new VramTracker();
    for (let i = 1; i <= 12; i++) {
      tracker.recordAllocation({ device: "host", address: BigInt(i), sizeBytes: i, owner: `request ${i}` });
    }
    expect(tracker.usageReport()).toContain("request 3 ");
    expect(tracker.usageReport()).not.toContain("request 2 ");
    expect(tracker.usageReport()).toContain("and 2 more owners");
  });
});

describe("leakReport", () => {
  test("says when there is nothing", () => {
    expect(new VramTracker().leakReport()).toBe("nothing is held, nothing leaked");
  });

  test("names what is held, since when, and what was caught", () => {
    const tracker = steadyTracker();
    tracker.recordAllocation({ ...scratch, description: "staging" });
    tracker.recordAllocation(cache);
    tracker.recordLeak(scratch);
    expect(tracker.leaks()).toHaveLength(1);
    expect(tracker.leakReport()).toBe(
      `
held: 1 allocation, 24.00 MiB
  cuda:0 0x7f00, 24.00 MiB (25165824 bytes), kv_cache, owner chat, recorded 500 ms ago
leaked and caught: 1 allocation, 512 B
  cuda:0 0x8000, 512 B (512 bytes), unknown, staging, recorded 1.0 s ago
`.trim(),
    );
  });

  test("shows the stack of who allocated when stacks are recorded", () => {
    const tracker = steadyTracker({ recordStacks: true });
    function someCaller(): void {
      tracker.recordAllocation(cache);
    }
    someCaller();
    const [record] = tracker.leaks();
    expect(record?.stack?.split("\n")[0]).toMatch(/^ +at someCaller .*reports\.test\.ts/);
    expect(tracker.leakReport()).toContain("\n    at someCaller");
  });

  test("keeps the latest caught leaks and counts all", () => {
    const tracker = new VramTracker();
    for (let i = 0; i < 40; i++) {
      tracker.recordAllocation({ ...scratch, description: `number ${i}` });
      tracker.recordLeak(scratch);
    }
    expect(tracker.leakReport()).toContain("leaked and caught: 40 allocations, 20.00 KiB; the latest 32:");
    expect(tracker.leakReport()).not.toContain("number 7,");
    expect(tracker.leakReport()).toContain("number 8,");
    expect(tracker.usage()).toMatchObject({ numLeaked: 40, leakedBytes: 40 * 512 });
  });
});

describe("snapshot", () => {
  test("is plain data with addresses as text", () => {
    const tracker = new VramTracker({ clock: () => 5 });
    tracker.setBudget({ device: "cuda:0", allowedBytes: 32 * MiB });
    tracker.recordAllocation(cache);
    const snapshot = tracker.snapshot();
    expect(JSON.parse(JSON.stringify(snapshot))).toEqual(snapshot);
    expect(snapshot).toMatchObject({ takenAtMs: 5, usedBytes: 24 * MiB, numAllocations: 1 });
    expect(snapshot.budgets).toEqual([{ device: "cuda:0", allowedBytes: 32 * MiB, usedBytes: 24 * MiB }]);
    expect(snapshot.devices[0]).toMatchObject({ device: "cuda:0", usedBytes: 24 * MiB });
    expect(snapshot.devices[0]?.purposes[0]).toMatchObject({ purpose: "kv_cache", usedBytes: 24 * MiB });
    expect(snapshot.allocations).toEqual([{ ...cache, serial: 1, address: "0x7f00", recordedAtMs: 5 }]);
  });
});

describe("reconcile", () => {
  test("says what the driver holds beyond baseline and records", () => {
    const tracker = new VramTracker();
    tracker.recordAllocation(cache);
    const found = tracker.reconcile({ device: "cuda:0", usedBytes: 100 * MiB, baselineBytes: 70 * MiB });
    expect(found).toMatchObject({ trackedBytes: 24 * MiB, unaccountedBytes: 6 * MiB });
    expect(String(found)).toBe(
      `
cuda:0                       bytes
driver       100.00 MiB  104857600
baseline      70.00 MiB   73400320
tracked       24.00 MiB   25165824
unaccounted    6.00 MiB    6291456
`.trim(),
    );
  });

  test("is negative where the driver holds less than was recorded", () => {
    const tracker = new VramTracker();
    tracker.recordAllocation(cache);
    expect(tracker.reconcile({ device: "cuda:0", usedBytes: 0 }).unaccountedBytes).toBe(-24 * MiB);
    expect(() => tracker.reconcile({ device: "cuda:0", usedBytes: -1 })).toThrow("usedBytes must be");
    expect(() => tracker.reconcile({ device: "cuda:0", usedBytes: 1, baselineBytes: 0.5 })).toThrow("baselineBytes");
  });
});
