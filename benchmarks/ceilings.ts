import type { Device } from "@kv/device-memory";
import { native } from "@kv/native";
import type { DeviceClock } from "./device-clock.ts";
import { gigabytesPerSecond } from "./figures.ts";
import { bf16Numbers } from "./numbers.ts";

const MEBIBYTE = 1024 ** 2;

/** GB/s, read and written, of one large copy within the device. */
export function copyRate(device: Device, clock: DeviceClock): number {
  using from = bf16Numbers(device, ceilingBytes(device));
  using to = device.allocate(from.sizeBytes);
  const us = clock.microsecondsOf(() => to.copyFrom(from));
  return gigabytesPerSecond(2 * from.sizeBytes, us);
}

/** GB/s of a kernel that only reads; of all cores on the host. */
export function readRate(device: Device, clock: DeviceClock): number {
  using memory = bf16Numbers(device, ceilingBytes(device));
  using found = device.allocate(4);
  const { handle } = device.defaultStream;
  // A word that is not there: no two numbers of the pattern have all their bits.
  const read = (): void =>
    native().readMemory(memory.handle, 0, memory.sizeBytes, 2 ** 32 - 1, found.handle, 0, handle);
  return gigabytesPerSecond(memory.sizeBytes, clock.microsecondsOf(read));
}

function ceilingBytes(device: Device): number {
  return (device.kind === "cuda" ? 2048 : 256) * MEBIBYTE;
}
