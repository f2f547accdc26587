import type { Device } from "@kv/device-memory";
import type { VramTracker } from "@kv/vram-tracker";

/**
 * What the driver (on the host: the operating system) counts as used, beside what the tracker counts. Other processes and
 * the driver's own rounding are in it, so it is shown and not judged.
 */
export interface DriverDifference {
  /** Used when the check of the model began. */
  readonly baselineBytes: number;
  readonly usedBytes: number;
  /** Used beyond the baseline. */
  readonly differenceBytes: number;
  /** The difference that no tracked allocation explains. */
  readonly unaccountedBytes: number;
  /** Part of what is used that the device's pool holds free for the next allocation. */
  readonly poolHeldBytes: number;
}

/** Bytes in use on the device, of all processes. */
export function usedBytesOf(device: Device): number {
  const { totalBytes, freeBytes } = device.memoryInfo();
  return totalBytes - freeBytes;
}

export function driverDifference(device: Device, tracker: VramTracker, baselineBytes: number): DriverDifference {
  const { totalBytes, freeBytes, poolHeldBytes } = device.memoryInfo();
  const usedBytes = totalBytes - freeBytes;
  const { unaccountedBytes } = tracker.reconcile({ device: device.name, usedBytes, baselineBytes });
  return { baselineBytes, usedBytes, differenceBytes: usedBytes - baselineBytes, unaccountedBytes, poolHeldBytes };
}
