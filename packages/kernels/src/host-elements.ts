import type { KvDtype } from "@kv/config";
import { DtypeError } from "./errors.ts";

/**
 * Elements in JavaScript's memory. fp32 is a Float32Array; fp16 a Uint16Array of its bits, or a Float16Array where there
 * is one; bf16 a Uint16Array of its bits; fp8 a Uint8Array of its bits.
 */
export type HostElements = ArrayBufferView & { readonly length: number; readonly [Symbol.toStringTag]: string };

const ARRAY_NAMES: Readonly<Record<KvDtype, readonly string[]>> = {
  fp32: ["Float32Array"],
  fp16: ["Uint16Array", "Float16Array"],
  bf16: ["Uint16Array"],
  fp8_e4m3: ["Uint8Array"],
  fp8_e5m2: ["Uint8Array"],
};

/** @throws DtypeError, naming `argument`, unless the elements are of `dtype` */
export function requireDtype(argument: string, elements: HostElements, dtype: KvDtype): void {
  const allowed = ARRAY_NAMES[dtype];
  const found = elements[Symbol.toStringTag];
  if (!allowed.includes(found)) throw new DtypeError(argument, `${dtype} as ${allowed.join(" or ")}`, found);
}
