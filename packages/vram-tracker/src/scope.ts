import type { Purpose } from "./purpose.ts";

/** Which allocations are meant: those of a device, of a purpose, of a purpose on a device, or with neither, all. */
export interface Scope {
  readonly device?: string | undefined;
  readonly purpose?: Purpose | undefined;
}

/** A scope in words: "kv_cache on cuda:0", "cuda:0", "kv_cache", "all devices". */
export function formatScope({ device, purpose }: Scope): string {
  if (purpose === undefined) return device ?? "all devices";
  return device === undefined ? purpose : `${purpose} on ${device}`;
}
