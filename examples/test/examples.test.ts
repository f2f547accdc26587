import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { EXAMPLES, runExample, sourceOf } from "../examples.mjs";

/** A driver that is not there: `openDevice()` takes the host. */
const HOST_ONLY = { KV_LIBCUDA: "no driver" };

test("examples are numbered from 01 without gaps", () => {
  expect(EXAMPLES.map((name) => Number(name.slice(0, 2)))).toEqual(EXAMPLES.map((_, index) => index + 1));
  expect(EXAMPLES.length).toBeGreaterThan(0);
});

test("the readme lists every example", () => {
  const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
  expect([...readme.matchAll(/\((\d\d-.*\.ts)\)/g)].map((match) => match[1])).toEqual(EXAMPLES);
});

test.each(EXAMPLES)("%s stays under 40 lines and says first what it shows", (name) => {
  const lines = sourceOf(name).trimEnd().split("\n");
  expect(lines.length).toBeLessThan(40);
  expect(lines[0]).toMatch(/^\/\/ \S/);
});

test.each(EXAMPLES)("%s runs on the host", async (name) => {
  const { passed, output } = await runExample(name, HOST_ONLY);
  if (!passed) expect.fail(output);
  expect(output.trim()).not.toBe("");
});
