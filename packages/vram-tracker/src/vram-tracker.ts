import { type Allocation, type AllocationRecord, checkAllocation } from "./allocation.ts";
import { requireAddress, requireByteCount, requireName, requireScope } from "./checks.ts";
import { AlreadyRecordedError, InvalidInputError, NotRecordedError } from "./errors.ts";
import { Listeners, type TrackerEvent, type TrackerListener } from "./events.ts";
import { checkInvariants } from "./invariants.ts";
import { formatLeakReport } from "./leak-report.ts";
import { type Accounts, Ledger, refusalOf } from "./ledger.ts";
import type { Purpose } from "./purpose.ts";
import { type DriverUsage, Reconciliation } from "./reconciliation.ts";
import type { Scope } from "./scope.ts";
import { allocationSnapshot, type TrackerSnapshot, type UsageSnapshot, usageSnapshot } from "./snapshot.ts";
import { captureStack } from "./stack.ts";
import { formatUsageReport, type OwnerUsage } from "./usage-report.ts";

/** Caught leaks that are kept for the report; all of them are counted. */
const MAX_CAUGHT_LEAKS = 32;

export interface VramTrackerOptions {
  /** Keep the stack of every allocation, for the leak report. Costs some microseconds each. Off unless given. */
  readonly recordStacks?: boolean | undefined;
  /** Milliseconds for the records' times; `Date.now` unless given. */
  readonly clock?: (() => number) | undefined;
  /** Hears what a listener threw; `console.error` unless given. What it throws itself reaches the tracker's caller. */
  readonly onListenerError?: ((error: unknown) => void) | undefined;
}

/** Bytes by purpose, the largest first; only purposes that hold something now. */
export interface UsageBreakdown {
  readonly [purpose: string]: number;
}

/** A limit for a device, a purpose, a purpose on a device, or with neither, for everything. */
export interface Budget extends Scope {
  readonly allowedBytes: number;
}

/** Which allocations to list; what is left out does not narrow. */
export interface AllocationFilter extends Scope {
  readonly owner?: string | undefined;
}

/**
 * The ledger of device bytes. It allocates nothing and frees nothing: whoever does tells it, and it counts exactly,
 * refuses what a budget does not allow, and says what is held, by whom and since when.
 *
 * Recording takes the same time whatever the number of allocations. A call that throws leaves the ledger as it was;
 * only a refusal is counted.
 */
export class VramTracker {
  readonly #ledger = new Ledger();
  readonly #caughtLeaks: AllocationRecord[] = [];
  readonly #listeners: Listeners;
  readonly #recordStacks: boolean;
  readonly #clock: () => number;
  #numRecorded = 0;

  constructor(options: VramTrackerOptions = {}) {
    this.#recordStacks = options.recordStacks ?? false;
    this.#clock = options.clock ?? Date.now;
    this.#listeners = new Listeners(options.onListenerError ?? ((error) => console.error(error)));
  }

  /**
   * Sets or replaces the limit of a scope. A limit below what is used now frees nothing; it refuses what comes.
   *
   * @throws InvalidInputError if `allowedBytes` is not a whole number of bytes
   */
  setBudget(budget: Budget): void {
    requireScope(budget);
    requireByteCount("allowedBytes", budget.allowedBytes);
    this.#ledger.account(budget).allowedBytes = budget.allowedBytes;
  }

  /** Takes the limit of exactly this scope away; nothing happens when there is none. */
  removeBudget(scope: Scope): void {
    requireScope(scope);
    const account = this.#ledger.existingAccount(scope);
    if (account !== undefined) account.allowedBytes = Number.POSITIVE_INFINITY;
  }

  /**
   * Asks, before anything is allocated, whether the budgets allow it.
   *
   * @throws BudgetExceededError naming the narrowest budget that does not
   */
  checkBudget({ device, purpose = "unknown", sizeBytes }: Omit<Allocation, "address">): void {
    requireName("device", device);
    requireName("purpose", purpose);
    requireByteCount("sizeBytes", sizeBytes);
    this.#refuseBeyondBudget(this.#ledger.accountsOf(device, purpose), sizeBytes);
  }

  /**
   * Records what was just allocated.
   *
   * @throws AlreadyRecordedError if that address is held
   * @throws BudgetExceededError if a budget does not allow it; the memory is still the caller's to free
   */
  recordAllocation(allocation: Allocation): AllocationRecord {
    checkAllocation(allocation);
    const { device, address, sizeBytes, purpose = "unknown", owner, description } = allocation;
    const held = this.#ledger.get(device, address);
    if (held !== undefined) throw new AlreadyRecordedError(device, address, sizeBytes, held.sizeBytes);
    const accounts = this.#ledger.accountsOf(device, purpose);
    this.#refuseBeyondBudget(accounts, sizeBytes);
    const recordedAtMs = this.#clock();
    const stack = this.#recordStacks ? captureStack(this.recordAllocation) : undefined;
    this.#numRecorded += 1;
    const serial = this.#numRecorded;
    const record: AllocationRecord = {
      serial,
      device,
      address,
      sizeBytes,
      purpose,
      owner,
      description,
      recordedAtMs,
      stack,
    };
    this.#ledger.add(Object.freeze(record), accounts);
    this.#listeners.emit("allocated", record);
    return record;
  }

  /** @throws NotRecordedError if that address is not held */
  recordFree(place: Pick<Allocation, "device" | "address">): AllocationRecord {
    const { record } = this.#take(place);
    this.#listeners.emit("freed", record);
    return record;
  }

  /**
   * Records that the garbage collector freed what its owner lost. It counts as a leak from then on.
   *
   * @throws NotRecordedError if that address is not held
   */
  recordLeak(place: Pick<Allocation, "device" | "address">): AllocationRecord {
    const { record, accounts } = this.#take(place);
    for (const account of accounts) account.countLeak(record.sizeBytes);
    this.#caughtLeaks.push(record);
    if (this.#caughtLeaks.length > MAX_CAUGHT_LEAKS) this.#caughtLeaks.shift();
    this.#listeners.emit("leaked", record);
    return record;
  }

  /** Bytes held now, on all devices. */
  get totalUsage(): number {
    return this.#ledger.all.usedBytes;
  }

  /** Allocations held now, on all devices. */
  get allocationCount(): number {
    return this.#ledger.all.numAllocations;
  }

  /** Bytes held now for a purpose, on all devices or on one. */
  usageByPurpose(purpose: Purpose, device?: string): number {
    return this.#ledger.existingAccount({ purpose, device })?.usedBytes ?? 0;
  }

  /** Bytes held now on a device. */
  usageByDevice(device: string): number {
    return this.#ledger.existingAccount({ device })?.usedBytes ?? 0;
  }

  /** Bytes held now by each purpose that holds something, on all devices or on one. */
  usageBreakdown(device?: string): UsageBreakdown {
    const accounts = this.#ledger.purposeAccounts(device).filter((account) => account.numAllocations > 0);
    accounts.sort((a, b) => b.usedBytes - a.usedBytes);
    return Object.fromEntries(accounts.map(({ scope, usedBytes }) => [scope.purpose ?? "unknown", usedBytes]));
  }

  /** Bytes held now by each owner, the largest first, on all devices or on one. Walks all allocations. */
  usageByOwner(device?: string): OwnerUsage[] {
    const usages = new Map<
      string | undefined,
      { owner: string | undefined; usedBytes: number; numAllocations: number }
    >();
    for (const { owner, sizeBytes } of this.allocations({ device })) {
      const usage = usages.get(owner) ?? { owner, usedBytes: 0, numAllocations: 0 };
      usage.usedBytes += sizeBytes;
      usage.numAllocations += 1;
      usages.set(owner, usage);
    }
    return [...usages.values()].sort((a, b) => b.usedBytes - a.usedBytes);
  }

  /** What is held now, the oldest first. Walks all allocations. */
  allocations({ device, purpose, owner }: AllocationFilter = {}): AllocationRecord[] {
    const matching: AllocationRecord[] = [];
    for (const record of this.#ledger.records()) {
      if (device !== undefined && record.device !== device) continue;
      if (purpose !== undefined && record.purpose !== purpose) continue;
      if (owner === undefined || record.owner === owner) matching.push(record);
    }
    return matching.sort((a, b) => a.serial - b.serial);
  }

  /** Most bytes held at once since the start or the last `resetPeaks`: in all, on a device, for a purpose. */
  peakUsage(scope: Scope = {}): number {
    return this.#ledger.existingAccount(scope)?.peakBytes ?? 0;
  }

  /** From now on peaks count from what is held now. */
  resetPeaks(): void {
    for (const account of this.#ledger.accounts()) account.resetPeak();
  }

  /** All figures as data, without the single allocations: cheap however many are held. */
  usage(): UsageSnapshot {
    return usageSnapshot(this.#ledger, this.#clock());
  }

  /** All figures and every allocation as data for `JSON.stringify`; addresses are "0x…" strings. */
  snapshot(): TrackerSnapshot {
    return { ...this.usage(), allocations: this.allocations().map(allocationSnapshot) };
  }

  /** All figures as a text for people. */
  usageReport(): string {
    return formatUsageReport(this.usage(), this.usageByOwner());
  }

  /** What is held now, the oldest first: whatever should have been freed by now is a leak. */
  leaks(): AllocationRecord[] {
    return this.allocations();
  }

  /** What is held now and since when, and what the garbage collector caught, as a text for people. */
  leakReport(): string {
    const { numLeaked, leakedBytes } = this.#ledger.all;
    return formatLeakReport({
      held: this.leaks(),
      caught: this.#caughtLeaks,
      numLeaked,
      leakedBytes,
      nowMs: this.#clock(),
    });
  }

  /** Sets the records of a device beside what its driver says is in use. */
  reconcile(driver: DriverUsage): Reconciliation {
    return new Reconciliation(driver, this.usageByDevice(driver.device));
  }

  /**
   * Hears of an event, after the ledger has changed; the listener may call the tracker. Gives the function that ends
   * it.
   */
  on<E extends TrackerEvent>(event: E, listener: TrackerListener<E>): () => void {
    if (!this.#listeners.has(event)) {
      throw new InvalidInputError("event", event, '"allocated", "freed", "leaked" or "refused"');
    }
    return this.#listeners.add(event, listener);
  }

  /** For tests: throws when an account is not the sum of its records. Walks all allocations. */
  checkInvariants(): void {
    checkInvariants(this.#ledger);
  }

  #take({ device, address }: Pick<Allocation, "device" | "address">): {
    record: AllocationRecord;
    accounts: Accounts;
  } {
    requireName("device", device);
    requireAddress(address);
    const entry = this.#ledger.take(device, address);
    if (entry === undefined) throw new NotRecordedError(device, address);
    return entry;
  }

  #refuseBeyondBudget(accounts: Accounts, sizeBytes: number): void {
    const refusal = refusalOf(accounts, sizeBytes);
    if (refusal === undefined) return;
    for (const account of accounts) account.numRefused += 1;
    this.#listeners.emit("refused", refusal);
    throw refusal;
  }
}
