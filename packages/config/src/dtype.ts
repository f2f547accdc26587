import { InvalidConfigError } from "./errors.ts";

/** Bytes of one stored element, for the types that need no scales beside them. */
const ELEMENT_BYTES = { fp32: 4, fp16: 2, bf16: 2, fp8_e4m3: 1, fp8_e5m2: 1 } as const;

/** Type of a stored element. Types with scales of their own are a `KvFormat`. */
export type KvDtype = keyof typeof ELEMENT_BYTES;

/** Every `KvDtype`, widest first. */
export const KV_DTYPES: readonly KvDtype[] = Object.keys(ELEMENT_BYTES) as KvDtype[];

/** True if `value` names a `KvDtype`. */
export function isKvDtype(value: unknown): value is KvDtype {
  return typeof value === "string" && Object.hasOwn(ELEMENT_BYTES, value);
}

/**
 * Bytes of one element of `dtype`.
 *
 * @throws InvalidConfigError if there is no such type
 */
export function elementBytes(dtype: KvDtype): number {
  if (!isKvDtype(dtype)) throw new InvalidConfigError("dtype", dtype, `one of ${KV_DTYPES.join(", ")}`);
  return ELEMENT_BYTES[dtype];
}
