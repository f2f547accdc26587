import { CommanderError } from "commander";
import { EXIT, type ExitCode } from "./exit-codes.ts";

/** An error as the command line shows it. */
export interface Failure {
  readonly exitCode: ExitCode;
  /** Stable, for programs: "OUT_OF_MEMORY". */
  readonly code: string;
  /** One line. */
  readonly message: string;
  /** The error's own numbers and texts: `wantedBytes`, `freeBytes`, … */
  readonly fields: Readonly<Record<string, string | number>>;
}

const EXIT_CODES: Readonly<Record<string, ExitCode>> = {
  INPUT: EXIT.badInput,
  USAGE: EXIT.badInput,
  INVALID_CONFIG: EXIT.badInput,
  UNSUPPORTED_MODEL: EXIT.badInput,
  GGUF_READ: EXIT.badInput,
  TRACE_FORMAT: EXIT.badInput,
  INVALID_OPTION: EXIT.badInput,
  LAYER_KIND: EXIT.badInput,
  SIZE_OVERFLOW: EXIT.badInput,
  OUT_OF_MEMORY: EXIT.outOfMemory,
  BUDGET_EXCEEDED: EXIT.outOfMemory,
  DEVICE_NOT_FOUND: EXIT.noDevice,
  NO_DRIVER: EXIT.noDevice,
  DRIVER_TOO_OLD: EXIT.noDevice,
  CUDA_ERROR: EXIT.noDevice,
  SYSTEM_ERROR: EXIT.noDevice,
  ADDON_NOT_FOUND: EXIT.noDevice,
};

/** How an error of any package below, of the argument parser, or of our own making is told. */
export function describeFailure(error: unknown): Failure {
  if (error instanceof CommanderError) return usageFailure(error);
  const code = codeOf(error);
  const exitCode = EXIT_CODES[code];
  const message = oneLine(error instanceof Error ? error.message : String(error));
  if (exitCode !== undefined) return { exitCode, code, message, fields: fieldsOf(error) };
  const advice = "this is a mistake in kv; KV_DEBUG=1 shows where";
  return { exitCode: EXIT.internal, code: "INTERNAL", message: `${message}; ${advice}`, fields: {} };
}

function usageFailure(error: CommanderError): Failure {
  const message = oneLine(error.message.replace(/^error: /, "").replace(/\.$/, ""));
  return { exitCode: EXIT.badInput, code: "USAGE", message: `${message}; see kv --help`, fields: {} };
}

function codeOf(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : "";
}

function oneLine(text: string): string {
  return text.trim().replace(/\s*\n\s*/g, " ");
}

function fieldsOf(error: unknown): Record<string, string | number> {
  const own = Object.entries(error as object).filter(([name]) => name !== "code" && name !== "name");
  return Object.fromEntries(
    own.flatMap(([name, value]) => {
      if (typeof value === "bigint") return [[name, String(value)]];
      return typeof value === "string" || typeof value === "number" ? [[name, value]] : [];
    }),
  );
}
