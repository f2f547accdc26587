import { expect, test } from "vitest";
import { formatCount, formatDuration, formatRate, rateOf } from "./units.ts";

test.each([
  [0.0004, "0.40 µs"],
  [0.0382, "38.2 µs"],
  [0.9, "900 µs"],
  [1, "1.00 ms"],
  [12.34, "12.3 ms"],
  [999.4, "999 ms"],
  [1530, "1.53 s"],
  [125_000, "125 s"],
])("formatDuration(%d) is %s", (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});

test.each([
  [0, "0.00 B/s"],
  [999.6, "1.00 kB/s"],
  [3.81e12, "3.81 TB/s"],
  [12_800_000_000, "12.8 GB/s"],
  [5e15, "5000 TB/s"],
])("formatRate(%d) is %s", (bytesPerSecond, text) => {
  expect(formatRate(bytesPerSecond)).toBe(text);
});

test("formatCount groups digits, below zero too", () => {
  expect(formatCount(2_684_354_560)).toBe("2,684,354,560");
  expect(formatCount(-25_165_824)).toBe("-25,165,824");
});

test("rateOf is per second, and 0 rather than infinite", () => {
  expect(rateOf(536_870_912, 0.5)).toBe(1_073_741_824_000);
  expect(rateOf(1, 0)).toBe(0);
});
