import { expect, test } from "vitest";
import { testTerminal } from "../test/text-sink.ts";
import { writeJson } from "./json-output.ts";

test("one object and a line end on stdout, addresses in hexadecimal", () => {
  const terminal = testTerminal();
  writeJson(terminal, { command: "check", schemaVersion: 1, exitCode: 0, address: 2n ** 47n });
  expect(terminal.stdout.text.endsWith("}\n")).toBe(true);
  expect(JSON.parse(terminal.stdout.text)).toEqual({
    command: "check",
    schemaVersion: 1,
    exitCode: 0,
    address: "0x800000000000",
  });
  expect(terminal.stderr.text).toBe("");
});
