import { built } from "./addon.ts";
import { VALID_ARGUMENTS } from "./open-resources.ts";

export type Name = keyof typeof VALID_ARGUMENTS;
export const NAMES = Object.keys(VALID_ARGUMENTS) as Name[];

/** The codes of all that a call can fail with, once the addon and the device are there. */
export const CODES: readonly string[] = [
  "CAPTURE_ERROR",
  "CUDA_ERROR",
  "DEVICE_NOT_FOUND",
  "DISPOSED",
  "INVALID_ARGUMENT",
  "OUT_OF_BOUNDS",
  "OUT_OF_MEMORY",
  "SYSTEM_ERROR",
];

/** Calls a function of the addon with arguments that may be anything. */
export function call(name: Name, args: readonly unknown[]): unknown {
  return (built.native()[name] as (...args: readonly unknown[]) => unknown)(...args);
}

/** The code of what it throws: "" for an error without one, undefined when it throws nothing. */
export function codeOf(run: () => unknown): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    return (error as { code?: string }).code ?? "";
  }
}
