import { createHash } from "node:crypto";

/** Bytes that look random and are the same in every run. */
export function randomBytes(length: number, seed = "kv"): Uint8Array {
  const shake = createHash("shake256", { outputLength: Math.max(length, 1) });
  return new Uint8Array(shake.update(seed).digest()).subarray(0, length);
}
