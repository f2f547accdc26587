import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { packageFolder } from "./addon.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), "kv-toolchain-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

test("the checked-in PTX is what nvcc makes of the kernels", { timeout: 300_000 }, (context) => {
  const script = path.join(packageFolder, "scripts", "generate-ptx.mjs");
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, "--check"], { encoding: "utf8" });
  if (stdout.includes("not checked")) context.skip(stdout.trim());
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
});

describe("CUDACXX", () => {
  test("names the compiler to use, by its file", () => {
    const { status, stderr } = configure("found", { CUDACXX: fakeCompiler() }, "90a");
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(buildRules("found")).toContain("nvcc 99.8.7");
  });

  test("is refused when it names nothing", () => {
    const { status, stderr } = configure("missing", { CUDACXX: path.join(folder, "nowhere") }, "90a");
    expect(status).toBe(1);
    expect(stderr.replaceAll(/\s+/g, " ")).toMatch(
      /CUDACXX is \S+nowhere, which was not found: set it to the file of nvcc/,
    );
  });
});

describe("KV_CUDA_ARCHS", () => {
  test.each([
    ["native, with GPUs of 9.0, 8.7, 12.1 and 9.0", "native", "9.0\n8.7\n12.1\n9.0", ["90a", "86", "120"]],
    ["native, with a GPU that is served by the PTX alone", "native", "11.0", []],
    ["native, without a GPU", "native", "", []],
    ["a list", "80;100", "9.0", ["80", "100"]],
    ["all", "all", "", ["75", "80", "86", "89", "90a", "100", "120"]],
  ])("%s", (name, wanted, capabilities, archs) => {
    const build = name.replaceAll(/\W+/g, "-");
    const { status, stderr } = configure(build, { CUDACXX: fakeCompiler(), PATH: pathWithGpus(capabilities) }, wanted);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const compiled = [...buildRules(build).matchAll(/code=sm_(\w+)/g)].map(([, arch]) => arch);
    expect([...new Set(compiled)]).toEqual(archs);
  });

  test("refuses what it does not know", () => {
    const { status, stderr } = configure("unknown", { CUDACXX: fakeCompiler() }, "90a;91");
    expect(status).toBe(1);
    expect(stderr.replaceAll(/\s+/g, " ")).toContain(
      "KV_CUDA_ARCHS is 90a;91, and 91 is none of 75;80;86;89;90a;100;120: set it to all, native or some of these",
    );
  });
});

function fakeCompiler(): string {
  return program("nvcc", "Cuda compilation tools, release 99.8, V99.8.7");
}

/** A search path whose nvidia-smi knows GPUs of these compute capabilities. */
function pathWithGpus(capabilities: string): string {
  return `${path.dirname(program("nvidia-smi", capabilities))}:${process.env["PATH"]}`;
}

function program(name: string, output: string): string {
  const file = path.join(mkdtempSync(path.join(folder, "bin-")), name);
  writeFileSync(file, `#!/bin/sh\ncat <<'END'\n${output}\nEND\n`);
  chmodSync(file, 0o755);
  return file;
}

function buildRules(name: string): string {
  return readFileSync(path.join(folder, name, "CMakeFiles", "kv_core.dir", "build.make"), "utf8");
}

function configure(name: string, env: NodeJS.ProcessEnv, archs: string): { status: number | null; stderr: string } {
  const options = ["-S", packageFolder, "-B", path.join(folder, name), "-G", "Unix Makefiles"];
  return spawnSync("cmake", [...options, `-DKV_CUDA_ARCHS=${archs}`], {
    encoding: "utf8",
    env: { ...process.env, ...env },
  });
}
