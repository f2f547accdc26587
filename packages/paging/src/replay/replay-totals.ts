import type { BlockManager } from "../block-manager.ts";
import type { BlockTable } from "../block-table.ts";
import type { PolicyFactory } from "../eviction-policy.ts";
import type { PolicyName } from "../policies/by-name.ts";
import { EndedBytes } from "./ended-bytes.ts";
import type { ReplayProgress, ReplayReport, ReplaySample } from "./replay-report.ts";
import { WasteSamples } from "./waste-samples.ts";

const MOST_SAMPLES = 500;

/** What a replay runs with. */
export interface ReplayRun {
  readonly manager: BlockManager;
  readonly requests: number;
  readonly tokensPerBlock: number;
  readonly policy: PolicyName | PolicyFactory | undefined;
  readonly onProgress?: ReplayProgress | undefined;
}

/** What one request found. */
export interface FoundPrefix {
  readonly promptTokens: number;
  readonly requestedBlocks: number;
  readonly hitBlocks: number;
  readonly reusedTokens: number;
}

/** What every replay counts, and its samples at even distances, at most some 500 of them. */
export class ReplayTotals {
  outputTokens = 0;
  readonly #run: ReplayRun;
  readonly #every: number;
  readonly #samples: ReplaySample[] = [];
  readonly #waste: WasteSamples = new WasteSamples();
  readonly #ended: EndedBytes;
  #found = 0;
  #promptTokens = 0;
  #requestedBlocks = 0;
  #hitBlocks = 0;
  #reusedTokens = 0;
  #peakBlocks = 0;
  #peakHeldBlocks = 0;
  #tokens = 0;
  #places = 0;
  #sampledRequested = 0;
  #sampledHit = 0;

  constructor(run: ReplayRun) {
    this.#run = run;
    this.#ended = new EndedBytes(run.manager);
    this.#every = Math.max(1, Math.floor(run.requests / MOST_SAMPLES));
  }

  /** A request has begun, and holds its blocks. */
  found({ promptTokens, requestedBlocks, hitBlocks, reusedTokens }: FoundPrefix, timeMs: number): void {
    this.#found++;
    this.#promptTokens += promptTokens;
    this.#requestedBlocks += requestedBlocks;
    this.#hitBlocks += hitBlocks;
    this.#reusedTokens += reusedTokens;
    if (this.#found % this.#every === 0) this.#sample(timeMs);
  }

  /** Tokens and the places in their blocks, weighted by requests or by time. */
  held(tokens: number, places: number, weight: number): void {
    this.#tokens += tokens * weight;
    this.#places += places * weight;
  }

  /** A request is done and still holds its blocks. */
  ended(table: BlockTable): void {
    this.#ended.add(table);
  }

  /** Looks at how full the pool is. Cheap: to be called whenever it may be fullest. */
  measurePool(): void {
    const { heldBlocks, cachedBlocks } = this.#run.manager.counters();
    this.#peakBlocks = Math.max(this.#peakBlocks, heldBlocks + cachedBlocks);
    this.#peakHeldBlocks = Math.max(this.#peakHeldBlocks, heldBlocks);
  }

  report<Mode extends ReplayReport["mode"]>(mode: Mode): ReplayReport & { readonly mode: Mode } {
    const { manager, policy = "reuse-rate", tokensPerBlock, requests } = this.#run;
    const occupancy = this.#places === 0 ? 1 : this.#tokens / this.#places;
    return {
      mode,
      policy: typeof policy === "function" ? "custom" : policy,
      tokensPerBlock,
      numBlocks: manager.numBlocks,
      requests,
      blocks: {
        requested: this.#requestedBlocks,
        hit: this.#hitBlocks,
        evicted: manager.counters().removedBlocks,
      },
      hitRate: ratio(this.#hitBlocks, this.#requestedBlocks),
      tokens: { prompt: this.#promptTokens, output: this.outputTokens, reused: this.#reusedTokens },
      peakBlocks: this.#peakBlocks,
      peakHeldBlocks: this.#peakHeldBlocks,
      occupancy,
      waste: { tail: 1 - occupancy, ...this.#waste.shares() },
      requestBytes: this.#ended.mean(),
      samples: this.#samples,
    };
  }

  #sample(timeMs: number): void {
    const { manager, requests, onProgress } = this.#run;
    onProgress?.(this.#found, requests);
    const { heldBlocks, cachedBlocks, removedBlocks } = manager.counters();
    this.#samples.push({
      requests: this.#found,
      timeMs,
      occupiedBlocks: heldBlocks + cachedBlocks,
      heldBlocks,
      evictedBlocks: removedBlocks,
      hitRate: ratio(this.#hitBlocks - this.#sampledHit, this.#requestedBlocks - this.#sampledRequested),
    });
    this.#sampledHit = this.#hitBlocks;
    this.#sampledRequested = this.#requestedBlocks;
    this.#waste.add(manager);
  }
}

function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}
