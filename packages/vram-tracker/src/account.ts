import { BudgetExceededError } from "./errors.ts";
import type { Scope } from "./scope.ts";

/** What one scope holds, held at most, may hold, and what was refused or leaked there. */
export class Account {
  usedBytes = 0;
  /** Most bytes held at once since the start or the last `resetPeak`. */
  peakBytes = 0;
  numAllocations = 0;
  /** Infinity without a budget. */
  allowedBytes: number = Number.POSITIVE_INFINITY;
  numRefused = 0;
  numLeaked = 0;
  leakedBytes = 0;

  constructor(readonly scope: Scope) {}

  /** Why `sizeBytes` more do not fit, or undefined when they do. */
  refusal(sizeBytes: number): BudgetExceededError | undefined {
    if (this.usedBytes + sizeBytes <= this.allowedBytes) return undefined;
    return new BudgetExceededError(this.scope, sizeBytes, this.usedBytes, this.allowedBytes);
  }

  add(sizeBytes: number): void {
    this.usedBytes += sizeBytes;
    this.numAllocations += 1;
    if (this.usedBytes > this.peakBytes) this.peakBytes = this.usedBytes;
  }

  subtract(sizeBytes: number): void {
    this.usedBytes -= sizeBytes;
    this.numAllocations -= 1;
  }

  countLeak(sizeBytes: number): void {
    this.numLeaked += 1;
    this.leakedBytes += sizeBytes;
  }

  resetPeak(): void {
    this.peakBytes = this.usedBytes;
  }
}
