import type { Account } from "./account.ts";
import type { Ledger } from "./ledger.ts";
import { formatScope } from "./scope.ts";

/** Sums every account up from the records and compares. For tests: it walks all records once per account. */
export function checkInvariants(ledger: Ledger): void {
  const records = [...ledger.records()];
  for (const account of ledger.accounts()) {
    const { device, purpose } = account.scope;
    const held = records.filter(
      (record) =>
        (device === undefined || record.device === device) && (purpose === undefined || record.purpose === purpose),
    );
    requireEqual(account, "numAllocations", account.numAllocations, held.length);
    const heldBytes = held.reduce((sum, record) => sum + record.sizeBytes, 0);
    requireEqual(account, "usedBytes", account.usedBytes, heldBytes);
    requireEqual(account, "peakBytes at least", Math.max(account.peakBytes, heldBytes), account.peakBytes);
  }
}

function requireEqual(account: Account, figure: string, actual: number, expected: number): void {
  if (actual === expected) return;
  throw new Error(`ledger of ${formatScope(account.scope)}: ${figure} is ${actual}, its records say ${expected}`);
}
