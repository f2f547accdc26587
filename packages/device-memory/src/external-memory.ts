import { native } from "@kv/native";

let pendingBytes = 0;
let isScheduled = false;

/**
 * Tells V8 of bytes that hang on its objects, so that garbage is collected in time. Told once per turn of the event
 * loop: V8 may collect when it is told, which must not happen in the middle of an allocation.
 */
export function adjustExternalMemory(deltaBytes: number): void {
  pendingBytes += deltaBytes;
  if (isScheduled) return;
  isScheduled = true;
  setImmediate(tell).unref();
}

function tell(): void {
  isScheduled = false;
  const deltaBytes = pendingBytes;
  pendingBytes = 0;
  if (deltaBytes !== 0) native().adjustExternalMemory(deltaBytes);
}
