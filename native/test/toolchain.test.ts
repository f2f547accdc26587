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
    const compiler = path.join(folder, "another-nvcc");
    writeFileSync(compiler, "#!/bin/sh\necho 'Cuda compilation tools, release 99.8, V99.8.7'\n");
    chmodSync(compiler, 0o755);
    const { status, stderr } = configure("found", compiler);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(readFileSync(path.join(folder, "found", "CMakeFiles", "kv_core.dir", "build.make"), "utf8")).toContain(
      "nvcc 99.8.7",
    );
  });

  test("is refused when it names nothing", () => {
    const { status, stderr } = configure("missing", path.join(folder, "nowhere"));
    expect(status).toBe(1);
    expect(stderr.replaceAll(/\s+/g, " ")).toMatch(
      /CUDACXX is \S+nowhere, which was not found: set it to the file of nvcc/,
    );
  });
});

function configure(name: string, compiler: string): { status: number | null; stderr: string } {
  const build = path.join(folder, name);
  return spawnSync("cmake", ["-S", packageFolder, "-B", build, "-G", "Unix Makefiles"], {
    encoding: "utf8",
    env: { ...process.env, CUDACXX: compiler },
  });
}
