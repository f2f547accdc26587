import { requireAddress, requireByteCount, requireName } from "./checks.ts";
import type { Purpose } from "./purpose.ts";

/** What is told to the tracker about an allocation that was just made. */
export interface Allocation {
  /** Name of the device: "cuda:0", "host". */
  readonly device: string;
  /** First byte on that device; together with the device it names the allocation until it is freed. */
  readonly address: bigint;
  readonly sizeBytes: number;
  /** "unknown" unless given. */
  readonly purpose?: Purpose | undefined;
  /** Who holds it, for telling holders apart: a cache, a request, a user. May be as fine as one wants. */
  readonly owner?: string | undefined;
  readonly description?: string | undefined;
}

/** What the tracker keeps about an allocation. Frozen. */
export interface AllocationRecord {
  /** Counts the tracker's allocations from 1: it tells apart two that had the same address one after the other. */
  readonly serial: number;
  readonly device: string;
  readonly address: bigint;
  readonly sizeBytes: number;
  readonly purpose: Purpose;
  readonly owner: string | undefined;
  readonly description: string | undefined;
  /** When it was recorded, by the tracker's clock: milliseconds since the epoch unless another clock was given. */
  readonly recordedAtMs: number;
  /** Who recorded it, innermost call first; undefined unless the tracker was made with `recordStacks`. */
  readonly stack: string | undefined;
}

/** @throws InvalidInputError naming the field that is wrong */
export function checkAllocation({ device, address, sizeBytes, purpose, owner, description }: Allocation): void {
  requireName("device", device);
  requireAddress(address);
  requireByteCount("sizeBytes", sizeBytes);
  if (purpose !== undefined) requireName("purpose", purpose);
  if (owner !== undefined) requireName("owner", owner);
  if (description !== undefined && typeof description !== "string") requireName("description", description);
}
