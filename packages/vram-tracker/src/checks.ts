import { InvalidInputError } from "./errors.ts";
import type { Scope } from "./scope.ts";

const ADDRESS_END = 1n << 64n;

export function requireName(field: string, value: unknown): void {
  if (typeof value !== "string" || value === "") throw new InvalidInputError(field, value, "a non-empty string");
}

export function requireAddress(value: unknown): void {
  if (typeof value !== "bigint" || value < 0n || value >= ADDRESS_END) {
    throw new InvalidInputError("address", value, "a bigint from 0n to 2n ** 64n - 1n");
  }
}

export function requireByteCount(field: string, value: unknown): void {
  if (!Number.isSafeInteger(value) || (value as number) < 0) {
    throw new InvalidInputError(field, value, "a whole number of bytes from 0 to Number.MAX_SAFE_INTEGER");
  }
}

export function requireScope({ device, purpose }: Scope): void {
  if (device !== undefined) requireName("device", device);
  if (purpose !== undefined) requireName("purpose", purpose);
}
