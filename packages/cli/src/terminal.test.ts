import { expect, test } from "vitest";
import { TextSink } from "../test/text-sink.ts";
import { colorsFor } from "./terminal.ts";

test.each([
  ["a terminal", true, {}, true],
  ["a pipe", false, {}, false],
  ["a pipe in CI", false, { CI: "1", FORCE_COLOR: "1" }, false],
  ["a terminal with NO_COLOR", true, { NO_COLOR: "1" }, false],
  ["a terminal with an empty NO_COLOR, which means nothing", true, { NO_COLOR: "" }, true],
  ["a dumb terminal", true, { TERM: "dumb" }, false],
])("colours on %s", (_name, isTTY, env, colored) => {
  expect(colorsFor(new TextSink(isTTY), env).isColorSupported).toBe(colored);
});
