import { KVCache } from "@kv/cache";
import type { ResolvedKVCacheConfig } from "@kv/config";
import { type Device, verifyVramResidency } from "@kv/device-memory";
import type { VramTracker } from "@kv/vram-tracker";
import { rateOf } from "../units.ts";
import { type DriverDifference, driverDifference, usedBytesOf } from "./driver-difference.ts";

/** What a cache takes once it is allocated and zeroed, by every account there is. */
export interface Allocation {
  readonly allocatedBytes: number;
  readonly trackedBytes: number;
  readonly driver: DriverDifference;
  /** Whether the driver (on the host: the operating system) says that the memory is on the device. */
  readonly isResident: boolean;
  readonly address: bigint;
  /** From the call until the last byte is zero. */
  readonly ms: number;
  readonly bytesPerSecond: number;
}

/** A cache and how it came to be. */
export interface AllocatedCache {
  readonly cache: KVCache;
  readonly allocation: Allocation;
}

/**
 * Allocates a cache and waits for its zeroing.
 *
 * @throws OutOfMemoryError; nothing is held then
 */
export function allocateCache(device: Device, config: ResolvedKVCacheConfig, tracker: VramTracker): AllocatedCache {
  const baselineBytes = usedBytesOf(device);
  const startedAt = performance.now();
  const cache = KVCache.allocate(device, config, { tracker, owner: "kv check" });
  try {
    device.defaultStream.synchronizeSync();
    const ms = performance.now() - startedAt;
    const allocation = {
      allocatedBytes: cache.sizeBytes,
      trackedBytes: tracker.usageByPurpose("kv_cache", device.name),
      driver: driverDifference(device, tracker, baselineBytes),
      isResident: verifyVramResidency(cache.memory).isResident,
      address: cache.memory.address,
      ms,
      bytesPerSecond: rateOf(cache.sizeBytes, ms),
    };
    return { cache, allocation };
  } catch (error) {
    cache.dispose();
    throw error;
  }
}
