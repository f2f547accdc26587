import type { KVCache } from "@kv/cache";
import type { VramTracker } from "@kv/vram-tracker";
import { type DriverDifference, driverDifference } from "./driver-difference.ts";

/** What is held once a cache was given back. */
export interface Release {
  readonly heldBytes: number;
  readonly heldAllocations: number;
  /** The tracker's words for it. */
  readonly leakReport: string;
  readonly driver: DriverDifference;
}

/** Gives a cache back, waits until the device has done so, and looks what is still held. */
export function releaseCache(cache: KVCache, tracker: VramTracker, baselineBytes: number): Release {
  cache.dispose();
  cache.device.defaultStream.synchronizeSync();
  return {
    heldBytes: tracker.totalUsage,
    heldAllocations: tracker.allocationCount,
    leakReport: tracker.leakReport(),
    driver: driverDifference(cache.device, tracker, baselineBytes),
  };
}
