import { sizeOf } from "@kv/config";
import { describe, expect, test } from "vitest";
import { findReplayModel } from "../src/replay/replay-model.ts";
import { kvJson } from "./run-kv.ts";
import { SLICE } from "./traces.ts";

interface ModelRun {
  readonly poolBytes: number;
  readonly requestBytes: { readonly held: number; readonly everyToken: number } | null;
  readonly blocks: { readonly requested: number; readonly hit: number };
  readonly rejected?: number;
  readonly preemptions?: number;
}

function replay(...args: string[]): ModelRun {
  const { status, stderr, json } = kvJson(["replay", SLICE, ...args]);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return json as ModelRun;
}

const BLOCKS = 4096;
const SEQUENCES = 16;

async function plannedBytes(model: string): Promise<number> {
  const { shape } = await findReplayModel(model);
  const tokens = (BLOCKS / SEQUENCES) * 16;
  return sizeOf(shape, { tokens, sequences: SEQUENCES, tokensPerBlock: 16, format: "fp16" }).totalBytes;
}

describe.each(["sequential", "timed"])("a real slice, %s", (mode) => {
  const args = ["--mode", mode, "--block-size", "16", "--blocks", String(BLOCKS), "--requests", "150"];
  const run = (model: string): ModelRun => replay("--model", model, "--sequences", String(SEQUENCES), ...args);

  test.each([
    ["gpt-oss-20b", 0.6],
    ["gemma-3-27b-it", 0.4],
  ])("%s: windows give memory back, and the pool is what the model's shape says", async (model, mostHeld) => {
    const { poolBytes, requestBytes, blocks } = run(model);
    expect(poolBytes).toBe(await plannedBytes(model));
    expect(requestBytes?.held).toBeLessThan(mostHeld * (requestBytes?.everyToken ?? 0));
    expect(blocks.hit).toBeGreaterThan(0);
  });

  test("qwen3-next: prefixes are found where states were copied, and nowhere else", async () => {
    const model = "qwen3-next-80b-a3b-instruct";
    const { poolBytes, blocks } = run(model);
    expect(poolBytes).toBe(await plannedBytes(model));
    expect(blocks.hit).toBeGreaterThan(0);
    expect(blocks.hit % (512 / 16)).toBe(0);
    expect(replay("--model", model, ...args, "--checkpoint", "1000000").blocks.hit).toBe(0);
  });

  test("deepseek-v3: every latent token is kept", async () => {
    const { poolBytes, requestBytes, blocks } = run("deepseek-v3");
    expect(poolBytes).toBe(await plannedBytes("deepseek-v3"));
    if (requestBytes !== null) expect(requestBytes.held).toBe(requestBytes.everyToken);
    expect(blocks.hit).toBeGreaterThan(0);
  });
});
