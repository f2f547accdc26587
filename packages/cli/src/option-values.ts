import { parseBytes } from "@kv/config";
import { InvalidArgumentError } from "commander";

/** Reads a whole number of at least 1 from an option. @throws InvalidArgumentError (the parser's) */
export function parseCount(text: string): number {
  return wholeNumber(text, 1);
}

/** As `parseCount`, or 0. */
export function parseCountOrNone(text: string): number {
  return wholeNumber(text, 0);
}

function wholeNumber(text: string, least: number): number {
  const count = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(count) && count >= least) return count;
  throw new InvalidArgumentError(`It must be a whole number from ${least} to ${Number.MAX_SAFE_INTEGER}.`);
}

/** Reads a size such as "80GiB" from an option. @throws InvalidArgumentError (the parser's) */
export function parseSize(text: string): number {
  try {
    return parseBytes(text);
  } catch (error) {
    throw new InvalidArgumentError(`${(error as Error).message}.`);
  }
}

/** Reads the name of a device from an option. @throws InvalidArgumentError (the parser's) */
export function parseDeviceName(text: string): string {
  if (/^(auto|host|cuda:(0|[1-9]\d{0,3}))$/.test(text)) return text;
  throw new InvalidArgumentError("It must be auto, host, or a GPU such as cuda:0.");
}
