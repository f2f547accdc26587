import { InvalidArgumentError } from "commander";
import { parseCount } from "../option-values.ts";

/** Reads a count of blocks, or "unlimited". @throws InvalidArgumentError (the parser's) */
export function parseBlocks(text: string): number | "unlimited" {
  return text === "unlimited" ? text : parseCount(text);
}

/** Reads a number above 0. @throws InvalidArgumentError (the parser's) */
export function parseRate(text: string): number {
  const rate = /^\d+(\.\d+)?$/.test(text) ? Number(text) : 0;
  if (rate > 0 && Number.isFinite(rate)) return rate;
  throw new InvalidArgumentError("It must be a number of tokens per second above 0.");
}

/** Reads pool sizes such as "1000,10000", in order and once each. @throws InvalidArgumentError (the parser's) */
export function parseSweep(text: string): number[] {
  return [...new Set(text.split(",").map(parseCount))].sort((a, b) => a - b);
}
