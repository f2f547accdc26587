import { formatBytes } from "./format-bytes.ts";
import type { Scope } from "./scope.ts";
import { formatScope } from "./scope.ts";

/** An argument that the ledger cannot take: `field` names it, `value` is what came. */
export class InvalidInputError extends Error {
  override readonly name = "InvalidInputError";
  readonly code = "INVALID_INPUT";

  constructor(
    readonly field: string,
    readonly value: unknown,
    wanted: string,
  ) {
    super(`${field} must be ${wanted}, got ${describe(value)}`);
  }
}

/**
 * An allocation would take a budget over its limit. `device` and `purpose` say whose budget it is; both are undefined
 * for the budget over everything.
 */
export class BudgetExceededError extends Error {
  override readonly name = "BudgetExceededError";
  readonly code = "BUDGET_EXCEEDED";
  readonly device: string | undefined;
  readonly purpose: string | undefined;

  constructor(
    budget: Scope,
    readonly wantedBytes: number,
    readonly usedBytes: number,
    readonly allowedBytes: number,
  ) {
    super(
      `wanted ${exactBytes(wantedBytes)}, but the budget of ${formatScope(budget)} allows ${exactBytes(allowedBytes)} ` +
        `and ${exactBytes(usedBytes)} are used; free something or raise the budget`,
    );
    this.device = budget.device;
    this.purpose = budget.purpose;
  }
}

/** An allocation at an address that is held already: its free was not recorded, or it was recorded twice. */
export class AlreadyRecordedError extends Error {
  override readonly name = "AlreadyRecordedError";
  readonly code = "ALREADY_RECORDED";

  constructor(
    readonly device: string,
    readonly address: bigint,
    readonly sizeBytes: number,
    readonly heldBytes: number,
  ) {
    super(
      `${device} ${formatAddress(address)} is recorded already with ${exactBytes(heldBytes)} and cannot be recorded ` +
        `again with ${exactBytes(sizeBytes)}; record its free first`,
    );
  }
}

/** A free of an address that is not held: it was never recorded, or its free was recorded twice. */
export class NotRecordedError extends Error {
  override readonly name = "NotRecordedError";
  readonly code = "NOT_RECORDED";

  constructor(
    readonly device: string,
    readonly address: bigint,
  ) {
    super(
      `${device} ${formatAddress(address)} is not recorded as allocated; record the allocation first, and its free once`,
    );
  }
}

/** An address as drivers and debuggers print it: "0x7f0000000000". */
export function formatAddress(address: bigint): string {
  return `0x${address.toString(16)}`;
}

function exactBytes(bytes: number): string {
  return bytes < 1024 ? `${bytes} bytes` : `${formatBytes(bytes)} (${bytes} bytes)`;
}

function describe(value: unknown): string {
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "string") return JSON.stringify(value);
  return typeof value === "number" || value === null || value === undefined ? String(value) : typeof value;
}
