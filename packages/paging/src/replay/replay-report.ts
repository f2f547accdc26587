/** State at one moment of a replay, for charts. */
export interface ReplaySample {
  /** Requests begun so far. */
  readonly requests: number;
  /** Time in the trace. */
  readonly timeMs: number;
  /** Blocks that hold something, cached ones included. */
  readonly occupiedBlocks: number;
  /** Those that sequences hold. */
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
    /** Blocks of the pool that lost what they had cached. */
    readonly evicted: number;
  };
  /** `blocks.hit` over `blocks.requested`. */
  readonly hitRate: number;
  readonly tokens: { readonly prompt: number; readonly output: number; readonly reused: number };
  /** Most blocks that held something at a time. */
  readonly peakBlocks: number;
  /** Most blocks that sequences held at a time. */
  readonly peakHeldBlocks: number;
  /** Tokens over token places, in the blocks that requests held: the mean over requests, or over time when timed. */
  readonly occupancy: number;
  readonly waste: ReplayWaste;
  readonly requestBytes: RequestBytes;
  readonly samples: readonly ReplaySample[];
}

/** What a request takes when it is done, shared blocks included: means over requests, 0 where blocks are not told apart. */
export interface RequestBytes {
  readonly held: number;
  /** What it would take if no window or chunk had given anything back. */
  readonly everyToken: number;
}

/** What of the held blocks is not used, as shares of them. */
export interface ReplayWaste {
  /** Places behind the last token: 1 less `occupancy`. */
  readonly tail: number;
  /** Parts of blocks that their layer group does not fill. */
  readonly padding: number;
  /** Tokens that windows and chunks have left. */
  readonly windows: number;
  /** Blocks whose tokens an older block has too. */
  readonly duplicates: number;
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
