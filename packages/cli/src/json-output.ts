import type { ExitCode } from "./exit-codes.ts";
import type { Terminal } from "./terminal.ts";

/** What every object that `--json` prints begins with. `schemaVersion` grows when a field changes its meaning or goes. */
export interface JsonHeader {
  readonly command: string;
  readonly schemaVersion: number;
  /** The status that the process ends with. */
  readonly exitCode: ExitCode;
}

/** Prints the one object of a command. Addresses (bigint) are written as "0x…". */
export function writeJson<Result extends JsonHeader>(terminal: Terminal, result: Result): void {
  const text = JSON.stringify(result, (_key, value: unknown) => (typeof value === "bigint" ? hex(value) : value), 2);
  terminal.stdout.write(`${text}\n`);
}

function hex(address: bigint): string {
  return `0x${address.toString(16)}`;
}
