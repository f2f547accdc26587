import { fileURLToPath } from "node:url";
import { describe, expect, inject, test } from "vitest";
import { kv, kvJson } from "./run-kv.ts";

const device = inject("device");
const missing = inject("deviceMissing");
const example = (model: string): string => fileURLToPath(new URL(`../../../examples/data/${model}`, import.meta.url));
const number = expect.any(Number);
const DRIVER = {
  baselineBytes: number,
  usedBytes: number,
  differenceBytes: number,
  unaccountedBytes: number,
  poolHeldBytes: number,
};

describe.skipIf(missing !== "")(`kv check on ${device} ${missing}`, () => {
  test("a config.json, as text", () => {
    const run = kv(["check", example("qwen2.5-0.5b"), "--context", "2048", "--device", device]);
    expect(run).toMatchObject({ status: 0, stderr: "" });
    expect(run.stdout).toContain(
      "2 (keys and values) × 24 layers × 2,048 tokens × 2 KV heads × 64 elements × 2 bytes (fp16) = 25,165,824 bytes (24 MiB)",
    );
    for (const line of ["planned", "allocated", "tracked"])
      expect(run.stdout).toMatch(new RegExp(`${line} +25,165,824 bytes`));
    expect(run.stdout).toMatch(/unaccounted +-?[\d,]+ bytes/);
    expect(run.stdout).toContain("25,165,824 bytes read and compared");
    expect(run.stdout).toContain("a prompt of 32 tokens in all layers");
    expect(run.stdout).toMatch(/ 23 {2}24,117,248 {2}24,641,536 {2}1,048,576 {2}ok/);
    expect(run.stdout).toMatch(/kv_cache +24\.00 MiB {2}25165824/);
    expect(run.stdout).toContain("nothing is held, nothing leaked");
    expect(run.stdout).toContain("passed, 5 checks");
    expect(run.stdout).not.toContain("\u001b[");
  });

  test("a preset, as JSON: every field", () => {
    const run = kvJson(["check", "llama-3-8b", "--context", "100", "--dtype", "bf16", "--device", device]);
    expect(run).toMatchObject({ status: 0, stderr: "" });
    const totalBytes = 131_072 * 100;
    expect(run.json).toEqual({
      command: "check",
      schemaVersion: 1,
      exitCode: 0,
      device: { name: device, kind: device === "host" ? "host" : "cuda", description: expect.any(String) },
      models: [
        {
          model: "llama-3-8b",
          source: "preset",
          outcome: "passed",
          checks: ["allocated", "tracked", "zeroed", "read_back", "released"].map((check) => ({ check, passed: true })),
          plan: {
            numLayers: 32,
            maxContextLength: 100,
            numKvHeads: 8,
            headDim: 128,
            dtype: "bf16",
            rule: "exact",
            formula: "2 (keys and values) × 32 layers × 100 tokens × 8 KV heads × 128 elements × 2 bytes (bf16)",
            totalBytes,
            layerStrideBytes: totalBytes / 32,
            bytesPerToken: 131_072,
          },
          assumptions: [],
          allocation: {
            allocatedBytes: totalBytes,
            trackedBytes: totalBytes,
            driver: DRIVER,
            isResident: true,
            address: expect.stringMatching(/^0x[0-9a-f]+$/),
            ms: number,
            bytesPerSecond: number,
          },
          zeroes: { verifiedBytes: totalBytes, nonZero: [], ms: number, bytesPerSecond: number },
          append: {
            promptTokens: 32,
            decodeTokens: 8,
            promptMs: number,
            decodeMsPerToken: number,
            seed: expect.stringMatching(/^[0-9a-f]{32}$/),
            wrong: [],
          },
          layers: Array.from({ length: 32 }, (_, layer) => ({
            layer,
            keysOffsetBytes: layer * 409_600,
            valuesOffsetBytes: layer * 409_600 + 204_800,
            sizeBytes: 409_600,
            isZeroed: true,
            isReadBack: true,
          })),
          usage: expect.objectContaining({ usedBytes: totalBytes, numAllocations: 1 }),
          release: { heldBytes: 0, heldAllocations: 0, leakReport: "nothing is held, nothing leaked", driver: DRIVER },
        },
      ],
    });
  });

  test.each(["fp32", "fp16", "bf16", "fp8_e4m3", "fp8_e5m2"])("%s", (dtype) => {
    const args = ["check", "qwen2.5-0.5b", "--context", "33", "--dtype", dtype, "--device", device];
    expect(kv(args)).toMatchObject({ status: 0, stderr: "" });
  });

  test("a context of one token", () => {
    const run = kv(["check", "llama-3-70b", "--context", "1", "--device", device, "--all-layers"]);
    expect(run).toMatchObject({ status: 0, stderr: "" });
    expect(run.stdout).toContain("a prompt of 1 token in");
    expect(run.stdout.match(/^ +\d+ .* ok {6}ok$/gm)).toHaveLength(80);
  });

  test("several models in one go", () => {
    const run = kv(["check", "qwen2.5-0.5b", "llama-3-8b", "--device", device]);
    expect(run).toMatchObject({ status: 0, stderr: "" });
    expect(run.stdout.match(/: passed, 5 checks/g)).toHaveLength(2);
  });
});
