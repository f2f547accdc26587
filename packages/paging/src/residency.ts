/** Counts of durations by upper bound, as Prometheus histograms have them: each count includes the smaller ones. */
export interface DurationHistogram {
  /** Upper bounds in seconds; durations beyond the last are in `count` only. */
  readonly boundsSeconds: readonly number[];
  /** Durations up to each bound. */
  readonly cumulativeCounts: readonly number[];
  readonly count: number;
  readonly sumSeconds: number;
}

const BOUNDS_SECONDS = [0.001, 0.01, 0.1, 1, 5, 15, 60, 300, 900, 3600, 14400, 86400] as const;
/** A power of two: one block in so many is measured. */
export const BLOCKS_PER_SAMPLE = 16;

/** How long blocks stay in the cache. Told only of blocks whose number is a multiple of `BLOCKS_PER_SAMPLE`. */
export class Residency {
  readonly #storedAtMs: Uint32Array;
  readonly #lifetime: Durations = new Durations();
  readonly #idle: Durations = new Durations();

  constructor(numBlocks: number) {
    this.#storedAtMs = new Uint32Array(Math.ceil(numBlocks / BLOCKS_PER_SAMPLE));
  }

  get bookkeepingBytes(): number {
    return this.#storedAtMs.byteLength;
  }

  /** From being stored to being evicted. */
  get lifetime(): DurationHistogram {
    return this.#lifetime.histogram();
  }

  /** From the last use to being evicted. */
  get idle(): DurationHistogram {
    return this.#idle.histogram();
  }

  stored(block: number, nowMs: number): void {
    this.#storedAtMs[block / BLOCKS_PER_SAMPLE] = nowMs;
  }

  removed(block: number, nowMs: number, idleMs: number): void {
    this.#lifetime.add((nowMs - (this.#storedAtMs[block / BLOCKS_PER_SAMPLE] as number)) >>> 0);
    this.#idle.add(idleMs);
  }
}

class Durations {
  readonly #counts: Float64Array = new Float64Array(BOUNDS_SECONDS.length + 1);
  #sumSeconds = 0;

  add(ms: number): void {
    const seconds = ms / 1000;
    const found = BOUNDS_SECONDS.findIndex((bound) => seconds <= bound);
    const at = found < 0 ? BOUNDS_SECONDS.length : found;
    this.#counts[at] = (this.#counts[at] as number) + 1;
    this.#sumSeconds += seconds;
  }

  histogram(): DurationHistogram {
    let count = 0;
    const cumulative = Array.from(this.#counts, (each) => {
      count += each;
      return count;
    });
    return {
      boundsSeconds: BOUNDS_SECONDS,
      cumulativeCounts: cumulative.slice(0, -1),
      count,
      sumSeconds: this.#sumSeconds,
    };
  }
}
