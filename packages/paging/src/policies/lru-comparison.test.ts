import { expect, test } from "vitest";
import { LruComparison } from "./lru-comparison.ts";
import { ReuseStatistics } from "./reuse-statistics.ts";

/** A block begins to wait in each of `epochs`; the pool has room for two, LRU for ages 0 and 1. */
function compared(epochs: number, inEpoch: (comparison: LruComparison) => void): boolean[] {
  const statistics = new ReuseStatistics(1, 8);
  const comparison = new LruComparison(statistics);
  comparison.setCapacity(2);
  return Array.from({ length: epochs }, () => {
    inEpoch(comparison);
    statistics.wait(0);
    comparison.wait();
    statistics.advance();
    comparison.advance();
    return comparison.isLearntBetter;
  });
}

test("tries what is learnt where nothing speaks against it, and gives it up when it misses what LRU would hit", () => {
  const verdicts = compared(100, (comparison) => comparison.reuse(0, 0, false));
  expect(verdicts.indexOf(true)).toBe(31);
  expect(verdicts.slice(31).indexOf(false)).toBeLessThan(4);
  // The next trial comes after twice the time.
  expect(verdicts.slice(40).indexOf(true)).toBeGreaterThan(50);
});

test("follows what is learnt as long as it hits what LRU would miss", () => {
  const verdicts = compared(200, (comparison) => {
    if (comparison.isLearntBetter) comparison.reuse(0, 6, true);
  });
  expect(verdicts.lastIndexOf(false)).toBe(30);
});
