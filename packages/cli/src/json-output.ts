import type { Terminal } from "./terminal.ts";

/** What every object that `--json` prints begins with. `schemaVersion` grows when a field changes its meaning or goes. */
export interface JsonHeader {
  readonly command: string;
  readonly schemaVersion: number;
}

/** Prints the one object of a command. Addresses (bigint) are written as "0x…". */
export function writeJson(terminal: Terminal, object: JsonHeader): void {
  const text = JSON.stringify(object, (_key, value: unknown) => (typeof value === "bigint" ? hex(value) : value), 2);
  terminal.stdout.write(`${text}\n`);
}

function hex(address: bigint): string {
  return `0x${address.toString(16)}`;
}
