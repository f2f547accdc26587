import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

/** The built program. */
export const MAIN: string = fileURLToPath(new URL("../dist/main.js", import.meta.url));

/** How one run of `kv` ended. */
export interface Run {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the built `kv` in a process of its own, with nothing of this one's KV_ settings. */
export function kv(args: readonly string[], env: Readonly<Record<string, string>> = {}, cwd?: string): Run {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("KV_") && name !== "NO_COLOR");
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], {
    encoding: "utf8",
    cwd,
    env: { ...Object.fromEntries(inherited), ...env },
    maxBuffer: 64 * 1024 * 1024,
  });
  return { status, stdout, stderr };
}

/** Runs `kv … --json` and parses all of its stdout. */
export function kvJson(args: readonly string[], env: Readonly<Record<string, string>> = {}): Run & { json: unknown } {
  const run = kv([...args, "--json"], env);
  return { ...run, json: JSON.parse(run.stdout) };
}

/** Settings that put the stand-in for the CUDA driver in the driver's place. It runs the references of our kernels. */
export function fakeCuda(settings: Readonly<Record<string, string>> = {}): Record<string, string> {
  const library = new URL("../../../native/build/Release/libkv_fake_cuda.so", import.meta.url);
  return { KV_LIBCUDA: fileURLToPath(library), ...settings };
}
