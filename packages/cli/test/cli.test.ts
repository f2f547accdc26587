import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { fakeCuda, kv, kvJson, MAIN } from "./run-kv.ts";

const folder = mkdtempSync(path.join(tmpdir(), "kv-cli-"));
afterAll(() => rmSync(folder, { recursive: true }));

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const example = (model: string): string => here(`../../../examples/data/${model}/config.json`);
const NO_DRIVER = { KV_LIBCUDA: "/nowhere/libcuda.so.1" };

function fileOf(name: string, contents: string): string {
  const file = path.join(folder, name);
  writeFileSync(file, contents);
  return file;
}

/** One line on stderr, with the code in front, and no stack. */
function expectFailure(run: { stderr: string; status: number | null }, status: number, code: string): void {
  expect(run.stderr).toMatch(new RegExp(`^kv: ${code}: [^\n]+\n$`));
  expect(run.status).toBe(status);
}

describe("the program", () => {
  test("can be started by itself", () => {
    expect(readFileSync(MAIN, "utf8").startsWith("#!/usr/bin/env node\n")).toBe(true);
    expect(statSync(MAIN).mode & 0o111).not.toBe(0);
  });

  test("--version and --help end well", () => {
    expect(kv(["--version"])).toEqual({ status: 0, stdout: "0.1.0\n", stderr: "" });
    const help = kv(["--help"]);
    expect(help).toMatchObject({ status: 0, stderr: "" });
    for (const name of ["devices", "check"]) expect(help.stdout).toContain(`  ${name} `);
    expect(kv(["check", "--help"]).stdout).toContain("llama-3-70b");
  });

  test("nothing to do is wrong usage", () => {
    const { status, stdout, stderr } = kv([]);
    expect(status).toBe(2);
    expect(stdout).toBe("");
    expect(stderr).toContain("Usage: kv");
  });

  test.each([
    [["frob"]],
    [["chek", "llama-3-8b"]],
    [["check"]],
    [["check", "--frob", "llama-3-8b"]],
    [["check", "--context", "0", "llama-3-8b"]],
    [["check", "--context", "1.5", "llama-3-8b"]],
    [["check", "--dtype", "int3", "llama-3-8b"]],
    [["check", "--device", "gpu", "llama-3-8b"]],
    [["devices", "extra"]],
  ])("wrong usage: kv %j", (args) => {
    const run = kv(args);
    expectFailure(run, 2, "USAGE");
    expect(run.stdout).toBe("");
  });

  test("a reader that goes away early is no error", () => {
    const command = `"${process.execPath}" "${MAIN}" check qwen2.5-0.5b --device host | head -n 1`;
    const { stdout, stderr } = spawnSync("sh", ["-c", command], { encoding: "utf8" });
    expect(stdout).toMatch(/^device host/);
    expect(stderr).toBe("");
  });
});

describe("input that cannot be used", () => {
  test("a missing file", () => {
    const run = kv(["check", path.join(folder, "missing.json")]);
    expectFailure(run, 2, "INPUT");
    expect(run.stderr).toContain("kv size --help lists the presets");
  });

  test("a JSON file cut anywhere", () => {
    const whole = readFileSync(example("llama-3-8b"), "utf8").trimEnd();
    for (const length of [0, 1, 20, 100, whole.length - 1]) {
      const run = kv(["check", fileOf("cut.json", whole.slice(0, length))]);
      expectFailure(run, 2, "INPUT");
      expect(run.stderr).toContain("is not valid JSON");
    }
  });

  test.each([
    ["null", "INVALID_CONFIG"],
    ["[]", "INVALID_CONFIG"],
    ["{}", "INVALID_CONFIG"],
    ['{"model_type": "unheard-of"}', "UNSUPPORTED_MODEL"],
    ['{"model_type": "llama", "num_hidden_layers": -3}', "INVALID_CONFIG"],
    ['{"model_type": "llama", "num_hidden_layers": "many"}', "INVALID_CONFIG"],
  ])("JSON that is no configuration: %s", (text, code) => {
    expectFailure(kv(["check", fileOf("other.json", text)]), 2, code);
  });

  test.each([
    ["gemma-3-1b-it", "gemma3_text", "sliding"],
    ["deepseek-v3", "deepseek_v3", "latent"],
    ["jamba-v0.1", "jamba", "state"],
  ])("%s is refused by the kind of its layers", (name, modelType, kind) => {
    const run = kv(["check", here(`configs/${name}.json`)]);
    expectFailure(run, 2, "UNSUPPORTED_MODEL");
    expect(run.stderr).toContain(`model type "${modelType}": layers[0].kind is "${kind}"`);
    expect(run.stdout).toBe("");
  });

  test("a size beyond exact numbers", () => {
    expectFailure(kv(["check", "llama-3-8b", "--context", "1000000000000000"]), 2, "SIZE_OVERFLOW");
  });

  test("one wrong input among others stops before anything is allocated", () => {
    const run = kv(["check", "qwen2.5-0.5b", "missing.json", "--device", "host"]);
    expectFailure(run, 2, "INPUT");
    expect(run.stdout).toBe("");
  });
});

describe("too little memory", () => {
  test("on the host", () => {
    const run = kv(["check", "llama-3-8b", "--context", "1000000000", "--device", "host"]);
    expectFailure(run, 3, "OUT_OF_MEMORY");
    expect(run.stderr).toContain("wanted 131072000000000 bytes");
    expect(run.stdout).toContain("= 131,072,000,000,000 bytes");
  });

  test("on a GPU", () => {
    const run = kv(["check", "qwen2.5-0.5b", "--device", "cuda:0"], fakeCuda({ KV_FAKE_CUDA_BYTES: "20000000" }));
    expectFailure(run, 3, "OUT_OF_MEMORY");
    expect(run.stderr).toMatch(/cuda:0: wanted 25165824 bytes, \d+ of 20000000 are free/);
  });

  test("as JSON, with its numbers", () => {
    const run = kvJson(["check", "qwen2.5-0.5b", "--device", "cuda:0"], fakeCuda({ KV_FAKE_CUDA_BYTES: "20000000" }));
    expect(run.status).toBe(3);
    expect(run.json).toMatchObject({
      command: "check",
      schemaVersion: 1,
      exitCode: 3,
      device: { name: "cuda:0", kind: "cuda" },
      models: [
        {
          model: "qwen2.5-0.5b",
          outcome: "out_of_memory",
          checks: [],
          plan: { totalBytes: 25_165_824 },
          error: { code: "OUT_OF_MEMORY", device: "cuda:0", wantedBytes: 25_165_824, totalBytes: 20_000_000 },
        },
      ],
    });
  });

  test("goes on with the next model, and is no failure of that one", () => {
    const config = JSON.parse(readFileSync(example("llama-3-8b"), "utf8")) as object;
    const huge = fileOf("huge.json", JSON.stringify({ ...config, max_position_embeddings: 10 ** 9 }));
    const run = kv(["check", huge, "qwen2.5-0.5b", "--device", "host"]);
    expect(run).toMatchObject({ status: 0, stderr: "" });
    expect(run.stdout).toContain("huge.json: skipped, OUT_OF_MEMORY: host: wanted 131072000000000 bytes");
    expect(run.stdout).toContain("qwen2.5-0.5b: passed, 5 checks");
  });
});

describe("devices and drivers", () => {
  test("a GPU without a driver", () => {
    const run = kv(["check", "qwen2.5-0.5b", "--device", "cuda:0"], NO_DRIVER);
    expectFailure(run, 4, "NO_DRIVER");
    expect(run.stderr).toContain("install the NVIDIA driver");
  });

  test("a GPU that is not there", () => {
    const run = kv(["check", "qwen2.5-0.5b", "--device", "cuda:7"], fakeCuda());
    expectFailure(run, 4, "DEVICE_NOT_FOUND");
    expect(run.stderr).toContain("cuda:0");
  });

  test("auto is the host where there is no GPU", () => {
    const run = kv(["check", "qwen2.5-0.5b", "--context", "64"], NO_DRIVER);
    expect(run).toMatchObject({ status: 0, stderr: "" });
    expect(run.stdout).toMatch(/^device host: .*no GPU \(NO_DRIVER, see kv devices\)/);
  });

  test("auto is the GPU where there is one", () => {
    const run = kv(["check", "llama-3-8b", "--context", "1000000000"], fakeCuda());
    expect(run.stdout).toMatch(/^device cuda:0: fake driver/);
  });

  test("kv devices says why CUDA cannot be used, and that is no failure", () => {
    const run = kv(["devices"], NO_DRIVER);
    expect(run).toMatchObject({ status: 0, stderr: "" });
    expect(run.stdout).toMatch(/^device +name +free +total +compute capability +driver \(CUDA\)\nhost +host memory +/);
    expect(run.stdout).toContain("CUDA cannot be used: NO_DRIVER: the NVIDIA driver's library /nowhere/libcuda.so.1");
  });

  test("kv devices lists every GPU", () => {
    const run = kv(["devices"], fakeCuda({ KV_FAKE_CUDA_DEVICES: "2", KV_FAKE_CUDA_BYTES: "2147483648" }));
    expect(run.stdout).toMatch(/^cuda:1 +fake driver, not a GPU +2 GiB +2 GiB +9\.0 +12\.0$/m);
    expect(run.stdout).not.toContain("cannot be used");
  });

  test("kv devices --json", () => {
    const { status, stderr, json } = kvJson(["devices"], fakeCuda());
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(json).toEqual({
      command: "devices",
      schemaVersion: 1,
      exitCode: 0,
      devices: [
        {
          name: "host",
          kind: "host",
          description: "host memory",
          freeBytes: expect.any(Number),
          totalBytes: expect.any(Number),
          computeCapability: null,
          driverVersion: null,
          numMultiprocessors: expect.any(Number),
          l2CacheBytes: null,
          uuid: null,
          pciBusId: null,
          error: null,
        },
        {
          name: "cuda:0",
          kind: "cuda",
          description: "fake driver, not a GPU",
          freeBytes: expect.any(Number),
          totalBytes: 2 ** 30,
          computeCapability: "9.0",
          driverVersion: "12.0",
          numMultiprocessors: 1,
          l2CacheBytes: 2 ** 20,
          uuid: expect.stringMatching(/^GPU-/),
          pciBusId: "0000:00:00.0",
          error: null,
        },
      ],
      cuda: { isAvailable: true, code: "", message: "" },
    });
  });

  test("kv devices lists a GPU that cannot be opened, with its error", () => {
    const outcomes = Array.from({ length: 15 }, (_, i) => {
      const { status, stderr, json } = kvJson(["devices"], fakeCuda({ KV_FAKE_CUDA_FAIL_AT: `cli:${2 * i + 1}` }));
      expect(stderr).not.toContain("    at ");
      expect([0, 4]).toContain(status);
      return json as { devices?: { error: { code: string } | null; freeBytes: number | null }[] };
    });
    const failed = outcomes.flatMap(({ devices }) => devices ?? []).filter(({ error }) => error !== null);
    expect(failed.length).toBeGreaterThan(0);
    for (const { error, freeBytes } of failed) expect([error?.code, freeBytes]).toEqual(["CUDA_ERROR", null]);
  });

  test("a driver that fails at any call ends with one line", () => {
    for (const n of [1, 3, 8, 16, 20, 24, 28, 32, 40]) {
      const run = kv(["check", "qwen2.5-0.5b", "--device", "cuda:0"], fakeCuda({ KV_FAKE_CUDA_FAIL_AT: `cli:${n}` }));
      // Each of these calls comes before the check is over.
      expect([3, 4]).toContain(run.status);
      expect(run.stderr).toMatch(/^kv: [A-Z_]+: [^\n]+\n$/);
    }
  });

  test("without the addon", () => {
    const run = kv(["devices"], { NODE_OPTIONS: `--import=${here("preload/no-addon.mjs")}` });
    expectFailure(run, 4, "ADDON_NOT_FOUND");
  });
});

describe("failures", () => {
  test("a check that fails is told by layer and place", () => {
    const env = { NODE_OPTIONS: `--import=${here("preload/wrong-append.mjs")}` };
    const run = kv(["check", "qwen2.5-0.5b", "--device", "host"], env);
    expect(run.status).toBe(1);
    expect(run.stdout).toMatch(/layer 23: byte 0 of token 0 of the values is \d+, appended was \d+\n/);
    expect(run.stdout).toContain("qwen2.5-0.5b: FAILED: read_back");
    expectFailure(run, 1, "CHECK_FAILED");
  });

  test("a mistake of ours ends with 70, and KV_DEBUG=1 shows where", () => {
    const env = { NODE_OPTIONS: `--import=${here("preload/mistake.mjs")}` };
    const run = kv(["check", "qwen2.5-0.5b", "--device", "host"], env);
    expectFailure(run, 70, "INTERNAL");
    const debug = kv(["check", "qwen2.5-0.5b", "--device", "host"], { ...env, KV_DEBUG: "1" });
    expect(debug.status).toBe(70);
    expect(debug.stderr).toContain("    at ");
  });

  test("an incomplete installation ends with 70 as well", () => {
    const copy = path.join(folder, "dist");
    cpSync(path.dirname(MAIN), copy, { recursive: true });
    const { status, stderr } = spawnSync(process.execPath, [path.join(copy, "main.js"), "devices"], {
      encoding: "utf8",
    });
    expect(status).toBe(70);
    expect(stderr).toMatch(/^kv: INTERNAL: kv cannot start: Cannot find package [^\n]+\n$/);
  });

  test("--json tells a failure on stdout too", () => {
    const { status, stderr, json } = kvJson(["check", "missing.json"]);
    expect(status).toBe(2);
    expect(stderr).toMatch(/^kv: INPUT: /);
    expect(json).toEqual({
      command: "check",
      schemaVersion: 1,
      exitCode: 2,
      error: { code: "INPUT", message: expect.stringContaining("missing.json"), input: "missing.json" },
    });
  });

  test("exact sizes in an error survive JSON", () => {
    const { json } = kvJson(["check", "llama-3-8b", "--context", "1000000000000000"]);
    expect(json).toMatchObject({ error: { code: "SIZE_OVERFLOW", bytes: "131072000000000000000" } });
  });
});
