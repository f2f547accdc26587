import { InvalidOptionError } from "./errors.ts";

/** Returns `value` if it is an integer in [min, max]. @throws InvalidOptionError otherwise */
export function checkInteger(option: string, value: unknown, min: number, max: number = 2 ** 31 - 1): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max) return value;
  throw new InvalidOptionError(option, value, `an integer from ${min} to ${max}`);
}

/** Returns `value` if it is one of `allowed`. @throws InvalidOptionError otherwise */
export function checkOneOf<T extends string>(option: string, value: unknown, allowed: readonly T[]): T {
  const found = allowed.find((each) => each === value);
  if (found !== undefined) return found;
  throw new InvalidOptionError(option, value, `one of ${allowed.join(", ")}`);
}
