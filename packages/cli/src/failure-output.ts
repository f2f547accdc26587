import type { Failure } from "./failure.ts";
import { colorsFor, type Terminal } from "./terminal.ts";

/** Writes a failure to stderr as one line: `kv: OUT_OF_MEMORY: …`. */
export function writeFailure({ stderr, env }: Terminal, { code, message }: Failure): void {
  stderr.write(`${colorsFor(stderr, env).red("kv:")} ${code}: ${message}\n`);
}
