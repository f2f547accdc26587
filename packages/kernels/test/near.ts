import type { MemoryRegion } from "@kv/device-memory";

/** Throws unless a number is another, or as near to it as allowed. */
export function requireNear(what: string, found: number | undefined, wanted: number, allowed: number): void {
  if (found === wanted || Math.abs((found ?? Number.NaN) - wanted) <= allowed) return;
  throw new Error(`${what}: wanted ${wanted} within ${allowed}, got ${found}`);
}

/** What is in memory once all that was queued is done. */
export function contents(memory: MemoryRegion): Uint8Array {
  const bytes = new Uint8Array(memory.sizeBytes);
  memory.copyToHostSync(bytes);
  return bytes;
}
