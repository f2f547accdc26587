import { requireByteCount, requireName } from "./checks.ts";
import { formatBytes } from "./format-bytes.ts";
import { formatTable } from "./text-table.ts";

/** What the driver says about a device. */
export interface DriverUsage {
  readonly device: string;
  /** Bytes in use on the device, of all processes: total minus free. */
  readonly usedBytes: number;
  /** Bytes that were in use before the first tracked allocation: the context and other processes. 0 unless given. */
  readonly baselineBytes?: number | undefined;
}

/**
 * The driver's bytes beside the tracker's. `unaccountedBytes` is what the driver holds beyond baseline and records:
 * rounding, pools, other processes. It is negative where less is in use than is recorded.
 */
export class Reconciliation {
  readonly device: string;
  readonly usedBytes: number;
  readonly baselineBytes: number;
  readonly trackedBytes: number;
  readonly unaccountedBytes: number;

  /** @throws InvalidInputError if a figure is not a whole number of bytes */
  constructor({ device, usedBytes, baselineBytes = 0 }: DriverUsage, trackedBytes: number) {
    requireName("device", device);
    requireByteCount("usedBytes", usedBytes);
    requireByteCount("baselineBytes", baselineBytes);
    this.device = device;
    this.usedBytes = usedBytes;
    this.baselineBytes = baselineBytes;
    this.trackedBytes = trackedBytes;
    this.unaccountedBytes = usedBytes - baselineBytes - trackedBytes;
  }

  /** A table for people, with the unaccounted line last. */
  toString(): string {
    const row = (label: string, bytes: number): string[] => [label, formatBytes(bytes), String(bytes)];
    return formatTable([
      [this.device, "", "bytes"],
      row("driver", this.usedBytes),
      row("baseline", this.baselineBytes),
      row("tracked", this.trackedBytes),
      row("unaccounted", this.unaccountedBytes),
    ]).join("\n");
  }
}
