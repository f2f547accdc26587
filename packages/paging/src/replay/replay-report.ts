/** State at one moment of a replay, for charts. */
export interface ReplaySample {
  /** Requests begun so far. */
  readonly requests: number;
  /** Time in the trace. */
  readonly timeMs: number;
  /** Blocks that hold something, cached ones included. */
  readonly occupiedBlocks: number;
  readonly heldBlocks: number;
  /** Blocks evicted so far. */
  readonly evictedBlocks: number;
  /** Hit blocks over all blocks, since the last sample. */
  readonly hitRate: number;
}

/** What every replay measures. */
export interface ReplayReport {
  readonly mode: "sequential" | "timed";
  readonly policy: string;
  readonly tokensPerBlock: number;
  readonly numBlocks: number;
  readonly requests: number;
  readonly blocks: {
    /** Blocks of all prompts. */
    readonly requested: number;
    /** Those that were cached when the request came. */
    readonly hit: number;
    readonly evicted: number;
  };
  /** `blocks.hit` over `blocks.requested`. */
  readonly hitRate: number;
  readonly tokens: { readonly prompt: number; readonly output: number; readonly reused: number };
  /** Most blocks that held something at a time. */
  readonly peakBlocks: number;
  /** Tokens over token places, in the blocks that requests held: the mean over requests, or over time when timed. */
  readonly occupancy: number;
  /** The rest to 1: by cause. */
  readonly waste: { readonly tail: number };
  readonly samples: readonly ReplaySample[];
}

/** What a timed replay measures besides. */
export interface TimedReplayReport extends ReplayReport {
  readonly mode: "timed";
  /** From the first arrival to the last token. */
  readonly durationMs: number;
  readonly preemptions: number;
  /** Requests whose prompt and answer do not fit the pool at all. */
  readonly rejected: number;
  readonly peakSequences: number;
  /** From arrival to the first token. */
  readonly firstTokenMs: { readonly mean: number; readonly p50: number; readonly p99: number };
}

/** Told of progress now and then. */
export type ReplayProgress = (done: number, total: number) => void;

/** Collects samples at even distances, at most some 500 of them. */
export class SampleSeries {
  readonly samples: ReplaySample[] = [];
  readonly #every: number;
  #requested = 0;
  #hit = 0;

  constructor(total: number) {
    this.#every = Math.max(1, Math.floor(total / 500));
  }

  /** Adds what a request found, and a sample when it is time for one. */
  add(requests: number, requested: number, hit: number, now: () => Omit<ReplaySample, "requests" | "hitRate">): void {
    this.#requested += requested;
    this.#hit += hit;
    if (requests % this.#every !== 0) return;
    this.samples.push({ requests, ...now(), hitRate: this.#requested === 0 ? 0 : this.#hit / this.#requested });
    this.#requested = 0;
    this.#hit = 0;
  }
}
