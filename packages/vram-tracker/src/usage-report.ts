import { formatBytes } from "./format-bytes.ts";
import { formatScope } from "./scope.ts";
import type { BudgetUsage, UsageFigures, UsageSnapshot } from "./snapshot.ts";
import { formatTable } from "./text-table.ts";

/** Bytes held by one owner; `owner` is undefined for what has none. */
export interface OwnerUsage {
  readonly owner: string | undefined;
  readonly usedBytes: number;
  readonly numAllocations: number;
}

const MAX_OWNERS = 10;

/** The figures as a text for people: devices with their purposes, the largest owners, budgets, refusals and leaks. */
export function formatUsageReport(usage: UsageSnapshot, owners: readonly OwnerUsage[]): string {
  const sections = [usageTable(usage), ownerTable(owners), budgetTable(usage.budgets), incidents(usage)];
  return sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join("\n"))
    .join("\n\n");
}

function usageTable(usage: UsageSnapshot): string[] {
  const rows = usage.devices.flatMap((device) => [
    usageRow(device.device, device),
    ...device.purposes.map((purpose) => usageRow(`  ${purpose.purpose}`, purpose)),
  ]);
  return formatTable([["device memory", "used", "bytes", "allocations", "peak"], ...rows, usageRow("total", usage)]);
}

function usageRow(label: string, { usedBytes, numAllocations, peakBytes }: UsageFigures): string[] {
  return [label, formatBytes(usedBytes), String(usedBytes), String(numAllocations), formatBytes(peakBytes)];
}

function ownerTable(owners: readonly OwnerUsage[]): string[] {
  if (owners.every(({ owner }) => owner === undefined)) return [];
  const rows = owners
    .slice(0, MAX_OWNERS)
    .map(({ owner, usedBytes, numAllocations }) => [
      owner ?? "(no owner)",
      formatBytes(usedBytes),
      String(usedBytes),
      String(numAllocations),
    ]);
  const more = owners.length > MAX_OWNERS ? [`and ${owners.length - MAX_OWNERS} more owners`] : [];
  return [...formatTable([["owner", "used", "bytes", "allocations"], ...rows]), ...more];
}

function budgetTable(budgets: readonly BudgetUsage[]): string[] {
  if (budgets.length === 0) return [];
  const rows = budgets.map((budget) => [
    formatScope(budget),
    formatBytes(budget.usedBytes),
    formatBytes(budget.allowedBytes),
    formatBytes(budget.allowedBytes - budget.usedBytes),
  ]);
  return formatTable([["budget", "used", "allowed", "left"], ...rows]);
}

function incidents({ numRefused, numLeaked, leakedBytes }: UsageSnapshot): string[] {
  const lines: string[] = [];
  if (numRefused > 0) lines.push(`refused by a budget: ${numRefused}`);
  if (numLeaked > 0) lines.push(`leaked and caught: ${numLeaked} (${formatBytes(leakedBytes)})`);
  return lines;
}
