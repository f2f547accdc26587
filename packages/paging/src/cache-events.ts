import type { CacheObserver } from "./block-allocator.ts";
import type { BlockId } from "./block-id.ts";
import { EventStream } from "./event-stream.ts";
import type { EvictionReason } from "./eviction-log.ts";
import type { LayerGroup } from "./layer-group.ts";
import type { Pool } from "./pool.ts";

/** One block of a stored prefix. */
export interface StoredBlock {
  readonly block: BlockId;
  readonly namespace: string;
  /** The layer group, and which of its blocks per span. */
  readonly group: number;
  readonly part: number;
  /** Number of the prefix that ends with these tokens. Belongs to no other while any block holds it. */
  readonly prefix: number;
  /** Number of the prefix before these tokens, or null at the beginning of a sequence. */
  readonly parentPrefix: number | null;
  /** Signed 32-bit hash of all tokens up to here; equal prefixes have equal ones, the converse is only likely. */
  readonly prefixHash: number;
  /** The tokens of this block; negative where a key belongs to the token. */
  readonly tokens: Int32Array;
}

/** A change of what is cached. Sequence numbers have no gaps. */
export type CacheEvent =
  | ({ readonly type: "stored"; readonly sequence: number } & StoredBlock)
  | {
      readonly type: "removed";
      readonly sequence: number;
      readonly block: BlockId;
      readonly prefix: number;
      readonly reason: EvictionReason;
    }
  | {
      /** Everything that nobody held was forgotten: of one namespace, or of all. */
      readonly type: "cleared";
      readonly sequence: number;
      readonly namespace: string | undefined;
      readonly blocks: readonly BlockId[];
    };

/** All that is stored, as of a sequence number; parents come before children. */
export interface CacheSnapshot {
  /** Number of the last event that it includes. */
  readonly sequence: number;
  readonly stored: readonly StoredBlock[];
}

/** A reader fell behind and events were dropped: it has to begin again from a snapshot. */
export interface LostEvents {
  readonly type: "lost";
  /** Number of the last event that was dropped. */
  readonly sequence: number;
}

/** Called within the operation that causes the event; must not call the manager. */
export type CacheListener = (event: CacheEvent) => void;

/** Publishes what enters and leaves the cache. Costs next to nothing while nobody listens. */
export class CacheEvents implements CacheObserver {
  readonly #pool: Pool;
  readonly #listeners: Set<CacheListener> = new Set();
  /** Events other than a removed or stored block, less the removed ones that `cleared` stands for. */
  #extraEvents = 0;
  #clearing: BlockId[] | undefined;

  /** For `BlockManager`. */
  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /** Number of the latest event; the first is 1. */
  get sequence(): number {
    const { numStored, numRemoved } = this.#pool.allocator;
    return numStored + numRemoved + this.#extraEvents;
  }

  /** Calls `listener` with every event from now on; returns what ends that. What it throws is thrown later, elsewhere. */
  subscribe(listener: CacheListener): () => void {
    this.#listeners.add(listener);
    this.#pool.allocator.observer = this;
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#pool.allocator.observer = undefined;
    };
  }

  /**
   * Events from now on, to be read with `for await`. A reader that falls `capacity` events behind gets a `lost` in their
   * place. Ends when the loop is left.
   */
  stream(capacity = 4096): AsyncIterableIterator<CacheEvent | LostEvents> {
    const stream: EventStream<CacheEvent, LostEvents> = new EventStream(
      capacity,
      (last) => ({ type: "lost", sequence: last.sequence }),
      () => unsubscribe(),
    );
    const unsubscribe = this.subscribe((event) => stream.push(event));
    return stream;
  }

  /** All that is stored now. */
  snapshot(): CacheSnapshot {
    const { index } = this.#pool;
    const stored: StoredBlock[] = [];
    for (const namespace of this.#pool.namespaces.numbers()) {
      const stack = [index.firstChildOf(index.root(namespace))];
      for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
        if (node < 0) continue;
        stack.push(index.nextSiblingOf(node), index.firstChildOf(node));
        this.#collect(node, stored);
      }
    }
    return { sequence: this.sequence, stored };
  }

  /** @internal */
  stored(block: number, node: number): void {
    this.#emit({ type: "stored", sequence: this.sequence, ...this.#describe(block, node) });
  }

  /** @internal */
  removed(block: number, reason: EvictionReason): void {
    if (this.#clearing !== undefined) {
      this.#clearing.push(block as BlockId);
      return;
    }
    const prefix = this.#pool.index.nodeOf(block);
    this.#emit({ type: "removed", sequence: this.sequence, block: block as BlockId, prefix, reason });
  }

  /** Runs `clear` and tells all that it removes as one event. @internal */
  cleared(namespace: string | undefined, clear: () => number): number {
    const blocks: BlockId[] = [];
    this.#clearing = blocks;
    const numRemoved = clear();
    this.#clearing = undefined;
    this.#extraEvents += 1 - numRemoved;
    if (this.#listeners.size > 0) this.#emit({ type: "cleared", sequence: this.sequence, namespace, blocks });
    return numRemoved;
  }

  #collect(node: number, stored: StoredBlock[]): void {
    const { index } = this.#pool;
    for (let unit = 0; unit < index.numUnits; unit++) {
      for (let block = index.blockOf(node, unit); block >= 0; block = index.twinOf(block)) {
        stored.push(this.#describe(block, node));
      }
    }
  }

  #describe(block: number, node: number): StoredBlock {
    const { index, groups, groupOfUnit, namespaces, allocator } = this.#pool;
    const unit = index.unitOf(block);
    const group = groups.indexOf(groupOfUnit[unit] as LayerGroup);
    const parent = index.parentOf(node);
    return {
      block: block as BlockId,
      namespace: namespaces.label(allocator.owner[block] as number),
      group,
      part: unit - (groups[group]?.firstUnit ?? 0),
      prefix: node,
      parentPrefix: index.isRoot(parent) ? null : parent,
      prefixHash: index.hashOf(node),
      tokens: index.tokensOf(node).slice(),
    };
  }

  #emit(event: CacheEvent): void {
    for (const listener of this.#listeners) {
      try {
        listener(event);
      } catch (error) {
        // An operation of the cache must not stop half-way because somebody who watches it fails.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
