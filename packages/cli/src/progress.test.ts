import { expect, test } from "vitest";
import { testTerminal } from "../test/text-sink.ts";
import { progressOn } from "./progress.ts";

function block(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

test("draws on a terminal's stderr while the event loop stands still, and takes its line away", () => {
  const terminal = testTerminal({ isTTY: true });
  const progress = progressOn(terminal);
  progress.start("reading", 4);
  for (let done = 1; done <= 3; done++) {
    block(150);
    progress.update(done);
  }
  expect(terminal.stderr.text).toContain("reading");
  expect(terminal.stderr.text).toContain("50 %");
  expect(terminal.stderr.text).toContain("75 %");
  progress.stop();
  expect(terminal.stderr.text.endsWith("\u001b[2K")).toBe(true);
  expect(terminal.stdout.text).toBe("");
});

test("leaves the cursor, line wrapping and Ctrl-C alone", () => {
  const listeners = process.listenerCount("SIGINT");
  const terminal = testTerminal({ isTTY: true });
  const progress = progressOn(terminal);
  progress.start("reading", 2);
  expect(process.listenerCount("SIGINT")).toBe(listeners);
  progress.stop();
  expect(terminal.stderr.text).not.toContain("\u001b[?25l");
  expect(terminal.stderr.text).not.toContain("\u001b[?7l");
});

test("writes nothing where nobody watches", () => {
  const terminal = testTerminal();
  const progress = progressOn(terminal);
  progress.start("reading", 2);
  progress.update(1);
  progress.stop();
  expect(terminal.stderr.text).toBe("");
});

test("stop before start, and twice, does nothing", () => {
  const progress = progressOn(testTerminal({ isTTY: true }));
  progress.stop();
  progress.start("reading", 2);
  progress.stop();
  expect(() => progress.stop()).not.toThrow();
});
