/** Why a block was taken out of the cache. */
export type EvictionReason = "space" | "namespace-cap" | "prefix-gone" | "cleared" | "overwritten";

const REASONS: readonly EvictionReason[] = ["space", "namespace-cap", "prefix-gone", "cleared", "overwritten"];

/** One block that was taken out of the cache. */
export interface Eviction {
  readonly reason: EvictionReason;
  /** The namespace whose prefix it held. */
  readonly namespace: string;
  /** The namespace whose allocation needed the space, with reason `space`. */
  readonly forNamespace: string;
  /** How long nobody had used it. */
  readonly idleMs: number;
  readonly timesReused: number;
  /** How many blocks have been taken out of the cache since then. */
  readonly evictionsSince: number;
}

/** The latest evictions in a ring of typed arrays, to answer why a block is gone. */
export class EvictionLog {
  readonly #block: Int32Array;
  readonly #reason: Uint8Array;
  readonly #idleMs: Float64Array;
  readonly #timesReused: Uint8Array;
  readonly #namespace: string[];
  readonly #forNamespace: string[];
  #count = 0;

  constructor(readonly capacity: number) {
    this.#block = new Int32Array(capacity).fill(-1);
    this.#reason = new Uint8Array(capacity);
    this.#idleMs = new Float64Array(capacity);
    this.#timesReused = new Uint8Array(capacity);
    this.#namespace = new Array<string>(capacity).fill("");
    this.#forNamespace = new Array<string>(capacity).fill("");
  }

  /** Evictions so far. */
  get count(): number {
    return this.#count;
  }

  /** Takes loose values and no object, because it is on the path of every eviction. */
  add(block: number, reason: EvictionReason, from: string, to: string, idleMs: number, timesReused: number): void {
    const at = this.#count++ % this.capacity;
    this.#block[at] = block;
    this.#reason[at] = REASONS.indexOf(reason);
    this.#idleMs[at] = idleMs;
    this.#timesReused[at] = timesReused;
    this.#namespace[at] = from;
    this.#forNamespace[at] = to;
  }

  /** The latest eviction of a block, or undefined if it is not among the latest `capacity`. Looks through the ring. */
  latest(block: number): Eviction | undefined {
    const oldest = Math.max(0, this.#count - this.capacity);
    for (let i = this.#count - 1; i >= oldest; i--) {
      if (this.#block[i % this.capacity] === block) return this.#at(i);
    }
    return undefined;
  }

  #at(i: number): Eviction {
    const at = i % this.capacity;
    return {
      reason: REASONS[this.#reason[at] as number] as EvictionReason,
      namespace: this.#namespace[at] as string,
      forNamespace: this.#forNamespace[at] as string,
      idleMs: this.#idleMs[at] as number,
      timesReused: this.#timesReused[at] as number,
      evictionsSince: this.#count - 1 - i,
    };
  }
}
