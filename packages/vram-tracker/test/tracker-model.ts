import type { Scope } from "../src/index.ts";

/** Where an allocation is. */
export interface Place {
  readonly device: string;
  readonly address: bigint;
}

/** An allocation that is asked for, or held. */
export interface Wanted extends Place {
  readonly sizeBytes: number;
  readonly purpose: string;
}

interface ModelBudget extends Scope {
  allowedBytes: number;
}

/** What a tracker means, in lists that are walked every time. */
export class TrackerModel {
  readonly held: Wanted[] = [];
  budgets: ModelBudget[] = [];
  peaks: Map<string, number> = new Map();
  numRefused = 0;
  numLeaked = 0;

  usedBytes(scope: Scope): number {
    return this.held.filter((each) => matches(scope, each)).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  }

  isHeld({ device, address }: Place): boolean {
    return this.held.some((each) => each.device === device && each.address === address);
  }

  fits(wanted: Wanted): boolean {
    return this.budgets
      .filter((budget) => matches(budget, wanted))
      .every((budget) => this.usedBytes(budget) + wanted.sizeBytes <= budget.allowedBytes);
  }

  setBudget(budget: ModelBudget): void {
    this.removeBudget(budget);
    this.budgets.push(budget);
  }

  removeBudget({ device, purpose }: Scope): void {
    this.budgets = this.budgets.filter((each) => each.device !== device || each.purpose !== purpose);
  }

  remove({ device, address }: Place): void {
    this.held.splice(
      this.held.findIndex((each) => each.device === device && each.address === address),
      1,
    );
  }

  /** Notes the peaks of these scopes; after a reset, from what is held now. */
  notePeaks(scopes: readonly Scope[], afterReset: boolean): void {
    for (const scope of scopes) {
      const key = JSON.stringify(scope);
      const before = afterReset ? 0 : (this.peaks.get(key) ?? 0);
      this.peaks.set(key, Math.max(before, this.usedBytes(scope)));
    }
  }

  peak(scope: Scope): number {
    return this.peaks.get(JSON.stringify(scope)) ?? 0;
  }
}

function matches(scope: Scope, { device, purpose }: Wanted): boolean {
  return (
    (scope.device === undefined || scope.device === device) &&
    (scope.purpose === undefined || scope.purpose === purpose)
  );
}
