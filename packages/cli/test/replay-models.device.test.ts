import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { kvJson } from "./run-kv.ts";
import { SLICE } from "./traces.ts";

const device = inject("device");
const folder = mkdtempSync(path.join(tmpdir(), "kv-replay-models-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Requests of the real slice that are short enough to write every byte of their keys and values. */
let short = "";
beforeAll(() => {
  const lines = gunzipSync(readFileSync(SLICE)).toString().trim().split("\n");
  const chosen = lines.filter((line) => (JSON.parse(line) as { input_length: number }).input_length < 1800);
  short = path.join(folder, "short.jsonl");
  writeFileSync(short, chosen.join("\n"));
});

interface DeviceRun {
  readonly decisions: string;
  readonly poolBytes: number;
  readonly tokens: { readonly reused: number };
  readonly device: {
    readonly device: string;
    readonly isSame: boolean;
    readonly wrong: readonly unknown[];
    readonly decisions: string;
    readonly allocatedBytes: number;
    readonly readRequests: number;
  };
}

function run(name: string, args: readonly string[]): DeviceRun {
  const { status, stderr, json } = kvJson(["replay", short, ...args, "--device", name, "--sample", "1"]);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return json as DeviceRun;
}

const CASES: readonly { readonly args: string }[] = [
  { args: "--model gpt-oss-20b --blocks 800 --requests 6" },
  { args: "--model gpt-oss-20b --blocks 400 --requests 6 --mode timed" },
  { args: "--model gemma-3-27b-it --blocks 400 --requests 3 --dtype fp8_e4m3" },
  { args: "--model qwen3-next-80b-a3b-instruct --blocks 800 --requests 6" },
  { args: "--model deepseek-v3 --blocks 400 --requests 6 --mode timed" },
  { args: "--model deepseek-v3 --blocks 20 --requests 6" },
];

describe.skipIf(inject("deviceMissing") !== "")(`replays on ${device}`, () => {
  test.each(CASES)("$args", ({ args }) => {
    const here = run(device, ["--sequences", "4", ...args.split(" ")]);
    expect(here.device).toMatchObject({ device, isSame: true, wrong: [] });
    expect(here.device.readRequests).toBeGreaterThanOrEqual(3);
    expect(here.device.allocatedBytes).toBe(here.poolBytes);
    expect(here.tokens.reused).toBeGreaterThanOrEqual(512);
  });

  test.each(["lru", "reuse-rate"])("takes and evicts the blocks that the host does: %s", (policy) => {
    // No blocks are left over, so that every decision of the policy shows.
    const args = ["--policy", policy, "--blocks", "40", "--requests", "60"];
    const there = run("host", args);
    const here = run(device, args);
    expect(here.device.decisions).toBe(there.device.decisions);
    expect(here.decisions).toBe(there.decisions);
    const timed = [...args, "--mode", "timed", "--blocks", "300"];
    expect(run(device, timed).device.decisions).toBe(run("host", timed).device.decisions);
  });
});
