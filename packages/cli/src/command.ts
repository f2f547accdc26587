import type { Command } from "commander";
import type { ExitCode } from "./exit-codes.ts";
import type { Terminal } from "./terminal.ts";

/** Adds one subcommand to `kv`. Its action writes to `terminal` and ends with `finish`, or throws. */
export type AddCommand = (program: Command, terminal: Terminal, finish: (exitCode: ExitCode) => void) => void;
