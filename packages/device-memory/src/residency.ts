import { native } from "@kv/native";
import type { MemoryRegion } from "./memory-region.ts";

export interface Residency {
  /** Whether the memory is where it is said to be. */
  readonly isResident: boolean;
  readonly device: string;
  readonly address: bigint;
  readonly sizeBytes: number;
}

/**
 * Asks the CUDA driver whether the whole allocation is device memory (pinned memory: host memory of the driver's), or on
 * the host the operating system whether all its pages are in physical memory.
 * @throws DisposedError
 */
export function verifyVramResidency(memory: MemoryRegion): Residency {
  return {
    isResident: native().isResident(memory.handle),
    device: memory.device.name,
    address: memory.address,
    sizeBytes: memory.sizeBytes,
  };
}
