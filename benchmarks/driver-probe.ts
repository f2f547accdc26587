import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

/** What the bare driver takes for so many bytes, or launches, from the native probe. */
export type DriverFigures = (what: string, amount: number) => DriverTiming | undefined;

export interface DriverTiming {
  readonly medianUs: number;
  readonly leastUs: number;
}

/** Runs the native probe on the first GPU, unless we are on the host; where there is none, there is no figure for anything. */
export function probeDriver(deviceName: string, allocationBytes: readonly number[]): DriverFigures {
  const folder = path.dirname(createRequire(import.meta.url).resolve("@kv/native/package.json"));
  const probe = path.join(folder, "build", "Release", "kv_driver_probe");
  if (deviceName === "host" || !existsSync(probe)) return () => undefined;
  const { status, stdout, stderr } = spawnSync(probe, allocationBytes.map(String), { encoding: "utf8" });
  if (status !== 0) throw new Error(`the driver probe failed: ${stderr}`);
  const rows = stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as ProbeRow);
  return (what, amount) => rows.find((row) => row.what === what && row.amount === amount);
}

interface ProbeRow extends DriverTiming {
  readonly what: string;
  /** Bytes, or launches. */
  readonly amount: number;
}
