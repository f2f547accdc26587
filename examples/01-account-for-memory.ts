// Keeps account of device memory that some other library allocates: budgets, peaks, leaks and a report.
import { type AllocationRecord, BudgetExceededError, VramTracker } from "@kv/vram-tracker";

const GiB = 2 ** 30;
const tracker = new VramTracker({ recordStacks: true });
tracker.setBudget({ device: "cuda:0", allowedBytes: 24 * GiB });
tracker.setBudget({ device: "cuda:0", purpose: "kv_cache", allowedBytes: 6 * GiB });
tracker.on("refused", (error) => console.log(`refused: ${error.message}\n`));

const weights = { device: "cuda:0", address: 0x7000_0000_0000n, sizeBytes: 15 * GiB, purpose: "model_weights" };
tracker.recordAllocation(weights);

// One cache per conversation, as many as the budget allows.
const caches: AllocationRecord[] = [];
for (let conversation = 1; conversation <= 20; conversation++) {
  const wanted = { device: "cuda:0", sizeBytes: 0.5 * GiB, purpose: "kv_cache" };
  try {
    tracker.checkBudget(wanted);
  } catch (error) {
    if (error instanceof BudgetExceededError) break;
    throw error;
  }
  const address = 0x7100_0000_0000n + BigInt(caches.length * wanted.sizeBytes);
  caches.push(tracker.recordAllocation({ ...wanted, address, owner: `conversation ${conversation}` }));
}
console.log(tracker.usageReport());

for (const cache of caches.slice(1)) tracker.recordFree(cache);
console.log(`\n${tracker.leakReport()}`);
console.log(`\n${tracker.reconcile({ device: "cuda:0", usedBytes: 16 * GiB, baselineBytes: 0.4375 * GiB })}`);
