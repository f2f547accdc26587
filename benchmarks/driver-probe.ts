import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

/** Microseconds that the bare driver takes for so many bytes, or launches, from the native probe. */
export type DriverFigures = (what: string, amount: number) => number | undefined;

/** Runs the native probe beside us, where there is a GPU; elsewhere there is no figure for anything. */
export function probeDriver(deviceKind: string, allocationBytes: readonly number[]): DriverFigures {
  const folder = path.dirname(createRequire(import.meta.url).resolve("@kv/native/package.json"));
  const probe = path.join(folder, "build", "Release", "kv_driver_probe");
  if (deviceKind !== "cuda" || !existsSync(probe)) return () => undefined;
  const { status, stdout, stderr } = spawnSync(probe, allocationBytes.map(String), { encoding: "utf8" });
  if (status !== 0) throw new Error(`the driver probe failed: ${stderr}`);
  const rows = stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as ProbeRow);
  return (what, amount) => rows.find((row) => row.what === what && row.amount === amount)?.medianUs;
}

interface ProbeRow {
  readonly what: string;
  /** Bytes, or launches. */
  readonly amount: number;
  readonly medianUs: number;
}
