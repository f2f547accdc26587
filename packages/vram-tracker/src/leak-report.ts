import type { AllocationRecord } from "./allocation.ts";
import { formatAddress } from "./errors.ts";
import { formatBytes } from "./format-bytes.ts";

/** What a leak report tells: what is held still, and what was lost and caught by the garbage collector. */
export interface LeakReportInput {
  readonly held: readonly AllocationRecord[];
  /** The latest ones that were caught. */
  readonly caught: readonly AllocationRecord[];
  /** How many were caught in all, and their bytes. */
  readonly numLeaked: number;
  readonly leakedBytes: number;
  readonly nowMs: number;
}

/** A leak report for people; a record's stack stands below it when stacks were recorded. */
export function formatLeakReport({ held, caught, numLeaked, leakedBytes, nowMs }: LeakReportInput): string {
  if (held.length === 0 && numLeaked === 0) return "nothing is held, nothing leaked";
  const heldBytes = held.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const lines = [`held: ${countOf(held.length)}, ${formatBytes(heldBytes)}`];
  lines.push(...held.flatMap((record) => describeRecord(record, nowMs)));
  if (numLeaked > 0) {
    const shown = caught.length < numLeaked ? `; the latest ${caught.length}:` : "";
    lines.push(`leaked and caught: ${countOf(numLeaked)}, ${formatBytes(leakedBytes)}${shown}`);
    lines.push(...caught.flatMap((record) => describeRecord(record, nowMs)));
  }
  return lines.join("\n");
}

function describeRecord(record: AllocationRecord, nowMs: number): string[] {
  const { device, address, sizeBytes, purpose, owner, description, recordedAtMs, stack } = record;
  const line = [
    `  ${device} ${formatAddress(address)}`,
    `${formatBytes(sizeBytes)} (${sizeBytes} bytes)`,
    purpose,
    ...(owner === undefined ? [] : [`owner ${owner}`]),
    ...(description === undefined ? [] : [description]),
    `recorded ${formatAge(nowMs - recordedAtMs)} ago`,
  ].join(", ");
  return [
    line,
    ...(stack ?? "")
      .split("\n")
      .filter((frame) => frame !== "")
      .map((frame) => `    ${frame.trim()}`),
  ];
}

function formatAge(ageMs: number): string {
  return ageMs < 1000 ? `${Math.round(ageMs)} ms` : `${(ageMs / 1000).toFixed(1)} s`;
}

function countOf(numAllocations: number): string {
  return `${numAllocations} ${numAllocations === 1 ? "allocation" : "allocations"}`;
}
