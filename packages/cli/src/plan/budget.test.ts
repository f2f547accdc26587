import { expect, test } from "vitest";
import { findBudget } from "./budget.ts";

test.each([
  ["80GiB", 85_899_345_920, null],
  ["24 GB", 24e9, null],
  ["rtx-4090", 24_564 * 2 ** 20, "NVIDIA GeForce RTX 4090"],
  ["RTX-4090", 24_564 * 2 ** 20, "NVIDIA GeForce RTX 4090"],
])("--vram %s", (vram, bytes, from) => {
  expect(findBudget({ vram })).toEqual({ bytes, from });
});

test("--device is what is free there now", () => {
  const { bytes, from } = findBudget({ device: "host" });
  expect(bytes).toBeGreaterThan(0);
  expect(from).toBe("free on host now");
});

test.each([[{}], [{ vram: "1GB", device: "host" }], [{ vram: "80G" }], [{ vram: "h9000" }]])("refuses %j", (flags) => {
  expect(() => findBudget(flags)).toThrow(expect.objectContaining({ code: "INPUT", input: "--vram" }));
});
