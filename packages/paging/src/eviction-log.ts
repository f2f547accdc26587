import type { NamespaceTable } from "./namespace-table.ts";

/** Why a block was taken out of the cache. */
export type EvictionReason = "space" | "namespace-cap" | "prefix-gone" | "cleared" | "overwritten";

const REASONS: readonly EvictionReason[] = ["space", "namespace-cap", "prefix-gone", "cleared", "overwritten"];

const CODES: Readonly<Record<EvictionReason, number>> = {
  space: 0,
  "namespace-cap": 1,
  "prefix-gone": 2,
  cleared: 3,
  overwritten: 4,
};

const FIELDS = 5;

/** One block that was taken out of the cache. */
export interface Eviction {
  readonly reason: EvictionReason;
  /** The namespace whose prefix it held; a name that has come to mean another since, if all its blocks have gone. */
  readonly namespace: string;
  /** The namespace whose allocation needed the space, with reason `space`. */
  readonly forNamespace: string;
  /** How long nobody had used it. */
  readonly idleMs: number;
  readonly timesReused: number;
  /** How many blocks have been taken out of the cache since then. */
  readonly evictionsSince: number;
}

/** The latest evictions, a power of two of them, in a ring of typed arrays, to answer why a block is gone. */
export class EvictionLog {
  readonly #entries: Int32Array; // [capacity, 5]: block, namespace, for namespace, idle ms, reason and times reused
  #count = 0;

  constructor(
    readonly capacity: number,
    readonly namespaces: NamespaceTable,
  ) {
    this.#entries = new Int32Array(capacity * FIELDS).fill(-1);
  }

  get bookkeepingBytes(): number {
    return this.#entries.byteLength;
  }

  /** Evictions so far. */
  get count(): number {
    return this.#count;
  }

  /** Takes loose values and no object, because it is on the path of every eviction. */
  add(block: number, reason: EvictionReason, from: number, to: number, idleMs: number, timesReused: number): void {
    const entries = this.#entries;
    const at = (this.#count++ & (this.capacity - 1)) * FIELDS;
    entries[at] = block;
    entries[at + 1] = from;
    entries[at + 2] = to;
    entries[at + 3] = idleMs;
    entries[at + 4] = CODES[reason] * 256 + timesReused;
  }

  /** The latest eviction of a block, or undefined if it is not among the latest `capacity`. Looks through the ring. */
  latest(block: number): Eviction | undefined {
    const oldest = Math.max(0, this.#count - this.capacity);
    for (let i = this.#count - 1; i >= oldest; i--) {
      if (this.#entries[(i % this.capacity) * FIELDS] === block) return this.#at(i);
    }
    return undefined;
  }

  #at(i: number): Eviction {
    const [, from, to, idleMs, packed] = this.#entries.subarray((i % this.capacity) * FIELDS) as unknown as number[];
    const code = Math.floor((packed as number) / 256);
    return {
      reason: REASONS[code] as EvictionReason,
      namespace: this.namespaces.label(from as number),
      forNamespace: this.namespaces.label(to as number),
      idleMs: (idleMs as number) >>> 0,
      timesReused: (packed as number) % 256,
      evictionsSince: this.#count - 1 - i,
    };
  }
}
