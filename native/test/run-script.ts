import { spawnSync } from "node:child_process";
import { builtPackage, FAKE_CUDA } from "./addon.ts";

/** How a process ended. */
export interface Ended {
  readonly status: number | null;
  /** What killed it, such as "SIGABRT"; null when it ended by itself. */
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

const PRELUDE = `
  const { Worker } = require("node:worker_threads");
  const kv = require(${JSON.stringify(builtPackage)});
  const native = kv.native();
`;

/** Runs a script in a process of its own, with the addon as `native`; its arguments are from `process.argv[1]` on. */
export function runScript(script: string, ...args: string[]): Ended {
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, ["-e", PRELUDE + script, ...args], {
    encoding: "utf8",
    env: { ...process.env, ...FAKE_CUDA },
    timeout: 250_000,
  });
  return { status, signal, stdout, stderr };
}

/** In a script: a stream of device `name` with 200 MB of work queued, and memory that is not released. */
export const BUSY = `
  const device = native.openDevice(name, 0);
  const stream = native.createStream(device);
  const memory = native.allocate(device, stream, 4_000_000, 256, "pool", true);
  const pinned = native.allocate(device, stream, 4096, 256, "pinned", true);
  const bytes = new Uint8Array(native.pinnedBuffer(pinned));
  for (let i = 0; i < 50; i++) native.fill(memory, 0, 4_000_000, i, stream);
`;
