import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { largestFitting } from "./largest-fitting.ts";

describe("the largest count that fits", () => {
  test("is found for any growth, however wrong the rate that was given", () => {
    const steps = fc.array(fc.integer({ min: 0, max: 1000 }), { minLength: 1, maxLength: 200 });
    fc.assert(
      fc.property(steps, fc.double({ min: 0, max: 1e6, noNaN: true }), fc.nat(50_000), (added, rate, budget) => {
        const totals = [0];
        for (const step of added) totals.push((totals.at(-1) ?? 0) + step);
        const last = totals.length - 1;
        // Beyond the list it grows by one each time.
        const bytesAt = (count: number): number => totals[count] ?? (totals[last] as number) + count - last;
        const found = largestFitting({ bytesAt, bytesPerCount: rate, budget });
        if (found === null) throw new Error("it grows without end");
        expect(bytesAt(found)).toBeLessThanOrEqual(budget);
        expect(bytesAt(found + 1)).toBeGreaterThan(budget);
      }),
    );
  });

  test("is -1 when not even nothing fits, null when everything does", () => {
    expect(largestFitting({ bytesAt: () => 10, bytesPerCount: 0, budget: 9 })).toBe(-1);
    expect(largestFitting({ bytesAt: () => 10, bytesPerCount: 0, budget: 10 })).toBeNull();
  });

  test("is found although larger counts are beyond all numbers", () => {
    const bytesAt = (count: number): number => (count > 1000 ? Number.POSITIVE_INFINITY : count);
    expect(largestFitting({ bytesAt, bytesPerCount: 1, budget: Number.MAX_SAFE_INTEGER })).toBe(1000);
  });

  test("is found at once where the rate is right", () => {
    let calls = 0;
    const bytesAt = (count: number): number => {
      calls += 1;
      return 5_000_000 + count * 131_072;
    };
    expect(largestFitting({ bytesAt, bytesPerCount: 131_072, budget: 2 ** 36 })).toBe(
      Math.floor((2 ** 36 - 5_000_000) / 131_072),
    );
    expect(calls).toBeLessThan(10);
  });
});
