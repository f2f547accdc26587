import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatBytes, parseBytes } from "./bytes.ts";

describe("formatBytes", () => {
  test.each([
    [0, "0 B"],
    [1023, "1023 B"],
    [1536, "1.5 KiB"],
    [25_165_824, "24 MiB"],
    [2_684_354_560, "2.5 GiB"],
    [2 ** 20 - 1, "1 MiB"],
    [-(2 ** 30), "-1 GiB"],
    [Number.MAX_SAFE_INTEGER, "8 PiB"],
  ])("%i is %s", (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });

  test("exact adds the count", () => {
    expect(formatBytes(25_165_824, { exact: true })).toBe("25,165,824 bytes (24 MiB)");
    expect(formatBytes(12, { exact: true })).toBe("12 bytes");
  });

  test("refuses what is not a size", () => {
    expect(() => formatBytes(Number.NaN)).toThrow(/bytes must be a finite number/);
  });
});

describe("parseBytes", () => {
  test.each([
    ["80GiB", 85_899_345_920],
    ["80 gb", 80_000_000_000],
    ["1.5 MiB", 1_572_864],
    ["1048576", 1_048_576],
    ["0B", 0],
  ])("%s is %i", (text, bytes) => {
    expect(parseBytes(text)).toBe(bytes);
  });

  test.each(["80G", "", "GiB", "-1GiB", "1e3", "9999999TiB", "12 parsecs", "toString"])("refuses %j", (text) => {
    expect(() => parseBytes(text)).toThrow(expect.objectContaining({ code: "INVALID_CONFIG", value: text }));
  });

  test("reads back what formatBytes writes, to its rounding", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 49 }), (bytes) => {
        const back = parseBytes(formatBytes(bytes));
        expect(Math.abs(back - bytes)).toBeLessThanOrEqual(Math.max(1, bytes * 0.006));
      }),
    );
  });
});
