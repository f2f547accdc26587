import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { EXIT_MEANINGS } from "../src/exit-codes.ts";
import { kv } from "./run-kv.ts";

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const commands = [...readme.matchAll(/```sh\n(.*?)```/gs)]
  .flatMap(([, block]) => (block ?? "").split("\n"))
  .filter((line) => line.startsWith("kv "));

test("shows commands", () => {
  expect(commands.length).toBeGreaterThanOrEqual(4);
});

test.each([
  "kv size deepseek-v3 --context 32768 --tp 8",
  "kv plan llama-3-8b --vram 18GiB --weights 16GB --sequences 4",
])("%s prints what is shown", (command) => {
  expect(commands).toContain(command);
  expect(readme).toContain(`\`\`\`text\n${kv(command.split(" ").slice(1)).stdout}\`\`\``);
});

test.each(commands)("%s runs as written, from the root of the repository", (command) => {
  expect(kv(command.split(" ").slice(1), {}, ROOT)).toMatchObject({ status: 0, stderr: "" });
});

test("names every exit code, as --help does", () => {
  const help = kv(["--help"]).stdout;
  for (const [code, meaning] of Object.entries(EXIT_MEANINGS)) {
    expect(help).toContain(`${code}  ${meaning}`);
    expect(readme).toMatch(new RegExp(`^\\| ${code} +\\| ${meaning} +\\|$`, "m"));
  }
});
