import type { BlockManager } from "../block-manager.ts";
import type { BlockTable } from "../block-table.ts";
import type { PolicyFactory } from "../eviction-policy.ts";
import type { PolicyName } from "../policies/by-name.ts";
import type { SampleSeries, TimedReplayReport } from "./replay-report.ts";

/** What a timed replay counts. */
export class TimedTotals {
  readonly firstTokenMs: number[] = [];
  admitted = 0;
  outputTokens = 0;
  preemptions = 0;
  rejected = 0;
  #requestedBlocks = 0;
  #hitBlocks = 0;
  #promptTokens = 0;
  #reusedTokens = 0;
  #peakBlocks = 0;
  #peakSequences = 0;
  #tokenTime = 0;
  #placeTime = 0;

  /** A request begins for the first time. */
  admit(promptTokens: number, requestedBlocks: number, hitBlocks: number, reusedTokens: number): void {
    this.admitted++;
    this.#promptTokens += promptTokens;
    this.#requestedBlocks += requestedBlocks;
    this.#hitBlocks += hitBlocks;
    this.#reusedTokens += reusedTokens;
  }

  /** Tokens and places that the running sequences have, for as long as the step took. Shared blocks count for each. */
  measure(manager: BlockManager, tables: readonly BlockTable[], stepMs: number): void {
    const { heldBlocks, cachedBlocks } = manager.counters();
    this.#peakBlocks = Math.max(this.#peakBlocks, heldBlocks + cachedBlocks);
    this.#peakSequences = Math.max(this.#peakSequences, tables.length);
    for (const table of tables) {
      this.#tokenTime += table.length * stepMs;
      this.#placeTime += table.numBlocks * manager.tokensPerBlock * stepMs;
    }
  }

  report(
    manager: BlockManager,
    series: SampleSeries,
    policy: PolicyName | PolicyFactory | undefined,
    requests: number,
    durationMs: number,
  ): TimedReplayReport {
    const occupancy = this.#placeTime === 0 ? 1 : this.#tokenTime / this.#placeTime;
    return {
      mode: "timed",
      policy: typeof policy === "function" ? "custom" : (policy ?? "reuse-rate"),
      tokensPerBlock: manager.tokensPerBlock,
      numBlocks: manager.numBlocks,
      requests,
      blocks: {
        requested: this.#requestedBlocks,
        hit: this.#hitBlocks,
        evicted: manager.counters().removedBlocks,
      },
      hitRate: this.#requestedBlocks === 0 ? 0 : this.#hitBlocks / this.#requestedBlocks,
      tokens: { prompt: this.#promptTokens, output: this.outputTokens, reused: this.#reusedTokens },
      peakBlocks: this.#peakBlocks,
      occupancy,
      waste: { tail: 1 - occupancy },
      samples: series.samples,
      durationMs,
      preemptions: this.preemptions,
      rejected: this.rejected,
      peakSequences: this.#peakSequences,
      firstTokenMs: distribution(this.firstTokenMs),
    };
  }
}

function distribution(values: readonly number[]): { mean: number; p50: number; p99: number } {
  if (values.length === 0) return { mean: 0, p50: 0, p99: 0 };
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] as number;
  return { mean: values.reduce((sum, value) => sum + value, 0) / values.length, p50: at(0.5), p99: at(0.99) };
}
