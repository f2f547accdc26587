import { expect, test } from "vitest";
import { bytesCells, countOf } from "./size-text.ts";

test.each([
  [0, "0", "0 B"],
  [25_165_824, "25,165,824", "24 MiB"],
  [1190.5, "1,190.5", "1.16 KiB"],
])("bytesCells(%d)", (bytes, exact, rounded) => {
  expect(bytesCells(bytes)).toEqual([exact, rounded]);
});

test("countOf knows one from many", () => {
  expect([0, 1, 4096].map((count) => countOf(count, "token"))).toEqual(["0 tokens", "1 token", "4,096 tokens"]);
});
