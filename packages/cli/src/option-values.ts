import { InvalidArgumentError } from "commander";

/** Reads a whole number of at least 1 from an option. @throws InvalidArgumentError (the parser's) */
export function parseCount(text: string): number {
  const count = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(count) && count >= 1) return count;
  throw new InvalidArgumentError(`It must be a whole number from 1 to ${Number.MAX_SAFE_INTEGER}.`);
}

/** Reads the name of a device from an option. @throws InvalidArgumentError (the parser's) */
export function parseDeviceName(text: string): string {
  if (/^(auto|host|cuda:(0|[1-9]\d{0,3}))$/.test(text)) return text;
  throw new InvalidArgumentError("It must be auto, host, or a GPU such as cuda:0.");
}
