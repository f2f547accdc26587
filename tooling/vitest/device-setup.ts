import { createRequire } from "node:module";
import type { TestProject } from "vitest/node";

/** Looks once whether the device of this project is there; with KV_REQUIRE_CUDA=1 its absence is a failure. */
export default function setup(project: TestProject): void {
  const device = project.config.provide["device"] as string;
  const missing = reasonMissing(device);
  if (missing !== "" && process.env["KV_REQUIRE_CUDA"] === "1") throw new Error(`${device} is required: ${missing}`);
  project.provide("deviceMissing", missing);
}

function reasonMissing(device: string): string {
  // Resolved from the tested package, so that tooling does not depend on the addon.
  const native = createRequire(`${process.cwd()}/package.json`)("@kv/native") as typeof import("@kv/native");
  const found = native.listDevices();
  return found.some((each) => each.name === device) ? "" : `found ${found.map((each) => each.name).join(", ")}`;
}
