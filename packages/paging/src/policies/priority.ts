import type { EvictionPolicy, PolicyContext } from "../eviction-policy.ts";

/** Priority of tokens that no retention range covers, and of those whose time is over. */
export const DEFAULT_PRIORITY = 35;

const MAX_RETENTIONS = 64;

/** One pair of priority and time to live that blocks were given. Its list is in the order in which times run out. */
interface Retention {
  readonly priority: number;
  readonly ttlMs: number;
  readonly list: number;
}

/**
 * Lowest priority first; of equals the least recently used. A priority with a time to live falls back to the default one
 * that long after the block was let go of. Blocks with the same priority and time share a list, whose first block is the
 * first to run out, so that looking at the heads is enough: the cost grows with the number of such pairs. There are at most
 * 64; further ones take the time of one with the same priority, or the default.
 */
export class PriorityPolicy implements EvictionPolicy {
  readonly name = "priority";
  readonly #context: PolicyContext;
  readonly #retentions: Retention[];
  readonly #retentionOf: Uint8Array;

  constructor(context: PolicyContext) {
    this.#context = context;
    const list = context.lists.add(1);
    this.#retentions = [{ priority: DEFAULT_PRIORITY, ttlMs: Number.POSITIVE_INFINITY, list }];
    this.#retentionOf = new Uint8Array(context.numBlocks);
  }

  stored(block: number): void {
    this.#retentionOf[block] = 0;
  }

  retain(block: number, priority: number, ttlMs: number): void {
    const same = this.#retentions.findIndex((each) => each.priority === priority && each.ttlMs === ttlMs);
    if (same >= 0) this.#retentionOf[block] = same;
    else if (this.#retentions.length < MAX_RETENTIONS) this.#retentionOf[block] = this.#addRetention(priority, ttlMs);
    else
      this.#retentionOf[block] = Math.max(
        0,
        this.#retentions.findIndex((each) => each.priority === priority),
      );
  }

  insert(block: number): void {
    this.#context.lists.pushLast(this.#retained(block).list, block);
  }

  reuse(block: number): void {
    this.remove(block);
  }

  remove(block: number): void {
    if (this.#context.lists.has(block)) this.#context.lists.remove(block);
  }

  candidate(): number {
    this.#expire();
    let best = -1;
    let lowest = Number.POSITIVE_INFINITY;
    for (const { priority, list } of this.#retentions) {
      const block = this.#context.lists.first(list);
      if (block < 0 || priority > lowest) continue;
      if (priority === lowest && this.#isYounger(block, best)) continue;
      best = block;
      lowest = priority;
    }
    return best;
  }

  restore(block: number): void {
    this.#context.lists.pushFirst(this.#retained(block).list, block);
  }

  explain(block: number): string {
    const { priority, ttlMs } = this.#retained(block);
    const time = Number.isFinite(ttlMs) ? ` for ${ttlMs} ms after its last use` : "";
    return `priority: ${priority}${time}; goes when all blocks of lower priority have gone`;
  }

  #retained(block: number): Retention {
    return this.#retentions[this.#retentionOf[block] as number] as Retention;
  }

  #isYounger(block: number, other: number): boolean {
    return this.#context.idleMs(block) <= this.#context.idleMs(other);
  }

  #addRetention(priority: number, ttlMs: number): number {
    return this.#retentions.push({ priority, ttlMs, list: this.#context.lists.add(1) }) - 1;
  }

  #expire(): void {
    const { lists } = this.#context;
    const fallback = (this.#retentions[0] as Retention).list;
    for (const { ttlMs, list } of this.#retentions.slice(1)) {
      for (let block = lists.first(list); block >= 0; block = lists.first(list)) {
        if (this.#context.idleMs(block) < ttlMs) break;
        lists.remove(block);
        this.#retentionOf[block] = 0;
        lists.pushLast(fallback, block);
      }
    }
  }
}
