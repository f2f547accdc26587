import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { runModule } from "./run-module.mjs";

const folder = fileURLToPath(new URL("..", import.meta.url));
const sourceFile = "/docs/page.md";

describe("runModule", () => {
  test("runs TypeScript with `using` on this Node", async () => {
    const source = [
      "const log: string[] = [];",
      "{",
      "  using thing = { [Symbol.dispose]: () => void log.push('disposed') };",
      "  log.push(typeof thing);",
      "}",
      "console.log(log.join(' '), process.env['WORD']);",
    ].join("\n");
    const run = await runModule({ source, sourceFile, folder, environment: { WORD: "hello" } });
    expect(run).toEqual({ passed: true, output: "object disposed hello\n" });
  });

  test("imports packages by name, and requires them", async () => {
    const esm = `import { VramTracker } from "@kv/vram-tracker"; console.log(new VramTracker().totalUsage);`;
    const cjs = `const { VramTracker } = require("@kv/vram-tracker"); console.log(new VramTracker().totalUsage);`;
    expect((await runModule({ source: esm, sourceFile, folder })).output).toBe("0\n");
    expect((await runModule({ source: cjs, sourceFile, folder, format: "cjs" })).output).toBe("0\n");
  });

  test("a failure names the line of the document", async () => {
    const source = "interface Nothing {}\nconst wrong: Nothing = {};\nthrow new Error('wrong ' + typeof wrong);";
    const run = await runModule({ source, sourceFile, folder, firstLine: 40 });
    expect(run.passed).toBe(false);
    expect(run.output).toContain("/docs/page.md:42:");
    expect(run.output).toContain("Error: wrong object");
  });

  test("a syntax error names it too", async () => {
    const run = await runModule({ source: "const = 1;", sourceFile, folder, firstLine: 7 });
    expect(run.passed).toBe(false);
    expect(run.output).toContain("page.md:7:6");
  });

  test("what does not end is ended", async () => {
    const run = await runModule({ source: "setInterval(() => {}, 1000);", sourceFile, folder, timeoutMs: 1000 });
    expect(run.passed).toBe(false);
    expect(run.output).toContain("SIGKILL; it may run 1000 ms");
  });
});
