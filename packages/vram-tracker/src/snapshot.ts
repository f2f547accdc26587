import type { Account } from "./account.ts";
import type { AllocationRecord } from "./allocation.ts";
import { formatAddress } from "./errors.ts";
import type { Ledger } from "./ledger.ts";
import type { Purpose } from "./purpose.ts";

/** What one scope holds now and held at most. */
export interface UsageFigures {
  readonly usedBytes: number;
  readonly peakBytes: number;
  readonly numAllocations: number;
  /** Allocations that a budget refused. */
  readonly numRefused: number;
  /** Allocations that the garbage collector caught, and their bytes. */
  readonly numLeaked: number;
  readonly leakedBytes: number;
}

export interface PurposeUsage extends UsageFigures {
  readonly purpose: Purpose;
}

export interface DeviceUsage extends UsageFigures {
  readonly device: string;
  readonly purposes: readonly PurposeUsage[];
}

/** A limit and what is used of it. Without a device it is for all devices, without a purpose for all purposes. */
export interface BudgetUsage {
  readonly device?: string;
  readonly purpose?: Purpose;
  readonly allowedBytes: number;
  readonly usedBytes: number;
}

/** An allocation as JSON can hold it: the address as "0x…", what is absent left out. */
export interface AllocationSnapshot {
  readonly serial: number;
  readonly device: string;
  readonly address: string;
  readonly sizeBytes: number;
  readonly purpose: Purpose;
  readonly owner?: string;
  readonly description?: string;
  readonly recordedAtMs: number;
  readonly stack?: string;
}

/** The figures of a tracker at one moment. `JSON.stringify` takes it as it is. */
export interface UsageSnapshot extends UsageFigures {
  readonly takenAtMs: number;
  readonly devices: readonly DeviceUsage[];
  readonly purposes: readonly PurposeUsage[];
  readonly budgets: readonly BudgetUsage[];
}

/** Figures and every allocation that is held. */
export interface TrackerSnapshot extends UsageSnapshot {
  readonly allocations: readonly AllocationSnapshot[];
}

/** The figures of every account, at a cost that does not depend on the number of allocations. */
export function usageSnapshot(ledger: Ledger, takenAtMs: number): UsageSnapshot {
  return {
    takenAtMs,
    ...figuresOf(ledger.all),
    devices: ledger.deviceNames().map((device) => ({
      device,
      ...figuresOf(ledger.account({ device })),
      purposes: ledger.purposeAccounts(device).map(purposeUsage),
    })),
    purposes: ledger.purposeAccounts().map(purposeUsage),
    budgets: [...ledger.accounts()].filter((account) => account.allowedBytes !== Infinity).map(budgetUsage),
  };
}

/** A record as JSON can hold it. */
export function allocationSnapshot(record: AllocationRecord): AllocationSnapshot {
  const { serial, device, address, sizeBytes, purpose, recordedAtMs, owner, description, stack } = record;
  return {
    serial,
    device,
    address: formatAddress(address),
    sizeBytes,
    purpose,
    recordedAtMs,
    ...(owner === undefined ? {} : { owner }),
    ...(description === undefined ? {} : { description }),
    ...(stack === undefined ? {} : { stack }),
  };
}

function purposeUsage(account: Account): PurposeUsage {
  return { purpose: account.scope.purpose ?? "unknown", ...figuresOf(account) };
}

function budgetUsage({ scope: { device, purpose }, allowedBytes, usedBytes }: Account): BudgetUsage {
  return {
    ...(device === undefined ? {} : { device }),
    ...(purpose === undefined ? {} : { purpose }),
    allowedBytes,
    usedBytes,
  };
}

function figuresOf(account: Account): UsageFigures {
  const { usedBytes, peakBytes, numAllocations, numRefused, numLeaked, leakedBytes } = account;
  return { usedBytes, peakBytes, numAllocations, numRefused, numLeaked, leakedBytes };
}
