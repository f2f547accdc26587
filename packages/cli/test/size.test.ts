import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { writeGguf } from "./gguf-file.ts";
import { fakeCuda, kv, kvJson } from "./run-kv.ts";

const folder = mkdtempSync(path.join(tmpdir(), "kv-cli-"));
afterAll(() => rmSync(folder, { recursive: true }));

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const GEMMA = here("configs/gemma-3-1b-it.json");

describe("kv size", () => {
  test("--json has every field", () => {
    const { status, stderr, json } = kvJson(["size", GEMMA, "--tokens", "8192", "--sequences", "2", "--dtype", "bf16"]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    // 4 full and 22 sliding layers (window 512) of one head of 256: 1 KiB for a token of a layer.
    const windowed = 22 * 512 * 1024;
    const full = 4 * 8192 * 1024;
    expect(json).toEqual({
      command: "size",
      exitCode: 0,
      schemaVersion: 1,
      source: "config.json",
      modelType: "gemma3_text",
      model: GEMMA,
      rule: "exact",
      ruleVersion: expect.any(String),
      dtype: "bf16",
      tokens: 8192,
      sequences: 2,
      bytesPerToken: 4096,
      bytesPerSequence: windowed + full,
      totalBytes: 2 * (windowed + full),
      largestDeviceBytes: 2 * (windowed + full),
      numDevices: 1,
      layers: [
        { kind: "sliding", count: 22, bytes: 2 * windowed },
        { kind: "full", count: 4, bytes: 2 * full },
      ],
      figures: [],
      assumptions: [],
    });
  });

  test("as text", () => {
    const run = kv(["size", here("configs/deepseek-v3.json"), "--context", "4096", "--tp", "8"]);
    expect(run).toMatchObject({ status: 0, stderr: "" });
    expect(run.stdout).toContain("1 sequence of 4,096 tokens, fp16");
    // 61 layers of 576 values of 2 bytes, copied to all 8 devices.
    expect(run.stdout).toMatch(/^latent +61 {2}2,302,672,896 +2\.14 GiB$/m);
    expect(run.stdout).toMatch(/^one more token +562,176 +549 KiB$/m);
    expect(run.stdout).toMatch(/^the fullest of 8 devices +287,834,112 +274\.5 MiB$/m);
    expect(run.stdout).not.toContain("\u001b[");
  });

  test("a rule's figures, its knobs and what was assumed", () => {
    const args = ["size", "gemma-3-27b-it", "--rule", "llama.cpp", "--context", "8192"];
    const windowed = kv(args);
    expect(windowed.stdout).toMatch(/^swa +size = .*1536 cells/m);
    expect(windowed.stdout).toContain("assumed: text_config.sliding_window_pattern is missing: 6");
    expect(kv([...args, "--knob", "swa-full"]).stdout).toMatch(/^swa +size = .*8192 cells/m);
  });

  test("layers for further tokens when asked", () => {
    const count = (...args: string[]): unknown => kvJson(["size", "deepseek-v3", ...args]).json;
    expect(count()).toMatchObject({ layers: [{ kind: "latent", count: 61 }] });
    expect(count("--mtp")).toMatchObject({ layers: [{ kind: "latent", count: 62 }] });
  });

  test("a GGUF file", () => {
    const file = path.join(folder, "model.gguf");
    writeGguf(file);
    expect(kvJson(["size", file, "--tokens", "2048"]).json).toMatchObject({ source: "gguf", totalBytes: 25_165_824 });
  });

  test("every type that --dtype offers is one that sizes", () => {
    const help = kv(["size", "--help"]).stdout.replace(/\s+/g, " ");
    const types = /--dtype <type> type of keys and values \(choices: ([^)]*), default/
      .exec(help)?.[1]
      ?.match(/[a-z0-9_]+/g);
    expect(types?.length).toBeGreaterThan(10);
    for (const dtype of types ?? []) {
      const model = dtype === "fp8_ds_mla" ? "deepseek-v3" : "llama-3-8b";
      expect(kvJson(["size", model, "--dtype", dtype]).json).toMatchObject({ dtype, exitCode: 0 });
    }
  });

  test.each([
    [["size"], "USAGE"],
    [["size", "no-such-model"], "INPUT"],
    [["size", "llama-3-8b", "--dtype", "fp8_ds_mla"], "INVALID_CONFIG"],
    [["size", "llama-3-8b", "--rule", "llama.cpp", "--tp", "2"], "INVALID_CONFIG"],
    [["size", "llama-3-8b", "--knob", "swa-full"], "INVALID_CONFIG"],
    [["size", "llama-3-8b", "--tokens", "9007199254740991"], "SIZE_OVERFLOW"],
    [["size", "whisper-large-v3", "--rule", "llama.cpp"], "UNSUPPORTED_MODEL"],
  ])("%j ends with 2 and %s", (args, code) => {
    const run = kv(args);
    expect(run.stderr).toMatch(new RegExp(`^kv: ${code}: [^\n]+\n$`));
    expect(run).toMatchObject({ status: 2, stdout: "" });
  });

  test("needs no addon", () => {
    const env = { NODE_OPTIONS: `--import=${here("preload/no-addon.mjs")}` };
    expect(kv(["size", "llama-3-8b"], env)).toMatchObject({ status: 0, stderr: "" });
  });
});

describe("kv plan", () => {
  const planArgs = ["plan", "llama-3-8b", "--weights", "16GB", "--sequences", "4"];

  test("--json has every field", () => {
    const { status, stderr, json } = kvJson([...planArgs, "--vram", "24GiB", "--reserve", "1GiB", "--block", "16"]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const kvBudgetBytes = 23 * 2 ** 30 - 16e9;
    expect(json).toMatchObject({
      command: "plan",
      exitCode: 0,
      schemaVersion: 1,
      source: "preset",
      model: "llama-3-8b",
      modelType: "llama",
      rule: "exact",
      dtype: "fp16",
      tokens: 8192,
      sequences: 4,
      bytesPerToken: 131_072,
      bytesPerSequence: 2 ** 30,
      totalBytes: 2 ** 32,
      largestDeviceBytes: 2 ** 32,
      numDevices: 1,
      layers: [{ kind: "full", count: 32, bytes: 2 ** 32 }],
      budgetBytes: 24 * 2 ** 30,
      budgetFrom: null,
      weightsBytes: 16e9,
      weightsFrom: null,
      reserveBytes: 2 ** 30,
      kvBudgetBytes,
      leftBytes: kvBudgetBytes - 2 ** 32,
      fits: true,
      maxTokens: Math.floor(kvBudgetBytes / 131_072 / 16) * 16,
      maxContext: Math.floor(kvBudgetBytes / 4 / 131_072 / 16) * 16,
      maxSequences: Math.floor(kvBudgetBytes / 2 ** 30),
      blocks: { tokensPerBlock: 16, bytesPerBlock: 2 ** 21, maxBlocks: Math.floor(kvBudgetBytes / 2 ** 21) },
      suggestions: [],
      assumptions: [],
    });
  });

  test("what does not fit comes with what would help", () => {
    const run = kvJson([...planArgs, "--vram", "t4"]);
    expect(run).toMatchObject({ status: 0, stderr: "" });
    expect(run.json).toMatchObject({
      fits: false,
      budgetFrom: "NVIDIA T4",
      leftBytes: 15_360 * 2 ** 20 - 16e9 - 2 ** 32,
    });
    const text = kv([...planArgs, "--vram", "18GiB"]);
    expect(text.stdout).toMatch(/^missing +967,614,464 +922\.79 MiB$/m);
    expect(text.stdout).toContain("it does not fit: 922.79 MiB too much");
    expect(text.stdout).toMatch(/^longest for 4 sequences +6,346 tokens$/m);
    expect(text.stdout).toMatch(
      /what would help, per device\n +format +fp16 → int8 +saves 1\.94 GiB +fits\n +format +fp16 → fp8_e4m3 +saves 2 GiB +fits/,
    );
  });

  test("--exit-code makes the answer the status", () => {
    expect(kv([...planArgs, "--vram", "24GiB", "--exit-code"]).status).toBe(0);
    expect(kv([...planArgs, "--vram", "18GiB", "--exit-code"])).toMatchObject({ status: 3, stderr: "" });
    expect(kvJson([...planArgs, "--vram", "18GiB", "--exit-code"]).json).toMatchObject({ exitCode: 3, fits: false });
  });

  test("one unit more than the limit does not fit, the limit does", () => {
    const limits = kvJson([...planArgs, "--vram", "24GiB"]).json as { maxContext: number; maxSequences: number };
    const fits = (...args: string[]): boolean =>
      (kvJson(["plan", "llama-3-8b", "--weights", "16GB", "--vram", "24GiB", ...args]).json as { fits: boolean }).fits;
    expect(fits("--sequences", "4", "--context", `${limits.maxContext}`)).toBe(true);
    expect(fits("--sequences", "4", "--context", `${limits.maxContext + 1}`)).toBe(false);
    expect(fits("--sequences", `${limits.maxSequences}`)).toBe(true);
    expect(fits("--sequences", `${limits.maxSequences + 1}`)).toBe(false);
  });

  test("as text, on several devices", () => {
    const run = kv(["plan", "llama-3-70b", "--vram", "h100-80gb", "--weights", "141GB", "--tp", "2"]);
    expect(run).toMatchObject({ status: 0, stderr: "" });
    expect(run.stdout).toContain("on the fullest of 2 devices");
    expect(run.stdout).toMatch(/^budget +85,520,809,984 +79\.65 GiB {2}NVIDIA H100 80GB$/m);
    expect(run.stdout).toMatch(/^weights +70,500,000,000 +65\.66 GiB$/m);
    expect(run.stdout).toContain("it fits");
    expect(run.stdout).toMatch(/^most sequences of 8,192 tokens +11$/m);
  });

  test("a device's free bytes are a budget", () => {
    const env = fakeCuda({ KV_FAKE_CUDA_BYTES: "536870912" });
    const { json } = kvJson(["plan", "qwen2.5-0.5b", "--device", "cuda:0"], env);
    expect(json).toMatchObject({ budgetFrom: "free on cuda:0 now", fits: true });
    expect((json as { budgetBytes: number }).budgetBytes).toBeLessThan(536_870_912);
    expect(kv(["plan", "qwen2.5-0.5b", "--device", "cuda:9"], env).status).toBe(4);
  });

  test("a GGUF file brings its weights along", () => {
    const file = path.join(folder, "weights.gguf");
    const weightsBytes = writeGguf(file);
    expect(kvJson(["plan", file, "--vram", "1GiB"]).json).toMatchObject({ weightsBytes, weightsFrom: file });
  });

  test.each([
    [["plan", "llama-3-8b"]],
    [["plan", "llama-3-8b", "--vram", "80G"]],
    [["plan", "llama-3-8b", "--vram", "1GiB", "--device", "host"]],
    [["plan", "llama-3-8b", "--vram", "1GiB", "--weights", "missing.gguf"]],
  ])("%j lacks a budget or weights that can be used", (args) => {
    const run = kv(args);
    expect(run.stderr).toMatch(/^kv: INPUT: [^\n]+\n$/);
    expect(run).toMatchObject({ status: 2, stdout: "" });
  });
});
