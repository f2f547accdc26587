import { Account } from "./account.ts";
import { AddressTable } from "./address-table.ts";
import type { AllocationRecord } from "./allocation.ts";
import { type BudgetExceededError, InvalidInputError } from "./errors.ts";
import type { Purpose } from "./purpose.ts";
import type { Scope } from "./scope.ts";

/** The accounts that an allocation counts in: everything, its device, its purpose, its purpose on its device. */
export type Accounts = readonly [all: Account, device: Account, purpose: Account, purposeOnDevice: Account];

interface Entry {
  readonly record: AllocationRecord;
  readonly accounts: Accounts;
}

interface DeviceLedger {
  readonly account: Account;
  readonly entries: AddressTable<Entry>;
  readonly accountsOf: Map<Purpose, Accounts>;
}

/**
 * The records of what is held, and the accounts that sum them up. Adding and taking out touch the same four accounts
 * whatever the number of records.
 */
export class Ledger {
  readonly all: Account = new Account({});
  readonly #purposes = new Map<Purpose, Account>();
  readonly #devices = new Map<string, DeviceLedger>();

  /** The accounts of a purpose on a device; opened empty when they are new. */
  accountsOf(device: string, purpose: Purpose): Accounts {
    const ledger = this.#deviceLedger(device);
    let accounts = ledger.accountsOf.get(purpose);
    if (accounts === undefined) {
      accounts = [this.all, ledger.account, this.#purposeAccount(purpose), new Account({ device, purpose })];
      ledger.accountsOf.set(purpose, accounts);
    }
    return accounts;
  }

  /** The account of a scope; opened empty when it is new. */
  account({ device, purpose }: Scope): Account {
    if (device !== undefined && purpose !== undefined) return this.accountsOf(device, purpose)[3];
    if (device !== undefined) return this.#deviceLedger(device).account;
    return purpose !== undefined ? this.#purposeAccount(purpose) : this.all;
  }

  /** The account of a scope if anything was ever said about it. */
  existingAccount({ device, purpose }: Scope): Account | undefined {
    if (device === undefined) return purpose === undefined ? this.all : this.#purposes.get(purpose);
    const ledger = this.#devices.get(device);
    return purpose === undefined ? ledger?.account : ledger?.accountsOf.get(purpose)?.[3];
  }

  get(device: string, address: bigint): AllocationRecord | undefined {
    return this.#devices.get(device)?.entries.get(address)?.record;
  }

  /** Adds a record of an address that is not held. */
  add(record: AllocationRecord, accounts: Accounts): void {
    this.#deviceLedger(record.device).entries.add(record.address, { record, accounts });
    for (const account of accounts) account.add(record.sizeBytes);
  }

  /** Takes a record out and gives it with the accounts it counted in; undefined when the address is not held. */
  take(device: string, address: bigint): Entry | undefined {
    const entry = this.#devices.get(device)?.entries.take(address);
    if (entry === undefined) return undefined;
    for (const account of entry.accounts) account.subtract(entry.record.sizeBytes);
    return entry;
  }

  *records(): Generator<AllocationRecord> {
    for (const { entries } of this.#devices.values()) {
      for (const { record } of entries.values()) yield record;
    }
  }

  deviceNames(): string[] {
    return [...this.#devices.keys()];
  }

  /** Accounts of the purposes over all devices, or on one. */
  purposeAccounts(device?: string): Account[] {
    if (device === undefined) return [...this.#purposes.values()];
    return [...(this.#devices.get(device)?.accountsOf.values() ?? [])].map((accounts) => accounts[3]);
  }

  *accounts(): Generator<Account> {
    yield this.all;
    yield* this.#purposes.values();
    for (const { account, accountsOf } of this.#devices.values()) {
      yield account;
      for (const accounts of accountsOf.values()) yield accounts[3];
    }
  }

  #deviceLedger(device: string): DeviceLedger {
    let ledger = this.#devices.get(device);
    if (ledger === undefined) {
      ledger = { account: new Account({ device }), entries: new AddressTable(), accountsOf: new Map() };
      this.#devices.set(device, ledger);
    }
    return ledger;
  }

  #purposeAccount(purpose: Purpose): Account {
    let account = this.#purposes.get(purpose);
    if (account === undefined) {
      account = new Account({ purpose });
      this.#purposes.set(purpose, account);
    }
    return account;
  }
}

/** The first budget that `sizeBytes` more would break, the narrowest first; undefined when they fit all. */
export function refusalOf(accounts: Accounts, sizeBytes: number): BudgetExceededError | undefined {
  const [all, device, purpose, purposeOnDevice] = accounts;
  const refusal =
    purposeOnDevice.refusal(sizeBytes) ??
    purpose.refusal(sizeBytes) ??
    device.refusal(sizeBytes) ??
    all.refusal(sizeBytes);
  if (refusal === undefined && !Number.isSafeInteger(all.usedBytes + sizeBytes)) {
    throw new InvalidInputError("sizeBytes", sizeBytes, "small enough that the total stays exact (2 ** 53 - 1 bytes)");
  }
  return refusal;
}
