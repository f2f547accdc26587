import type { EvictionPolicy, PolicyContext } from "../eviction-policy.ts";

const NUM_COUNTS = 256;

/** Least often reused first; of equals the least recently used. Counts end at 255. */
export class LfuPolicy implements EvictionPolicy {
  readonly name = "lfu";
  readonly #context: PolicyContext;
  readonly #firstList: number;
  #lowest = 0;

  constructor(context: PolicyContext) {
    this.#context = context;
    this.#firstList = context.lists.add(NUM_COUNTS);
  }

  insert(block: number): void {
    this.#context.lists.pushLast(this.#listOf(block), block);
  }

  reuse(block: number): void {
    this.remove(block);
  }

  remove(block: number): void {
    if (this.#context.lists.has(block)) this.#context.lists.remove(block);
  }

  candidate(): number {
    for (; this.#lowest < NUM_COUNTS; this.#lowest++) {
      const block = this.#context.lists.first(this.#firstList + this.#lowest);
      if (block >= 0) return block;
    }
    return -1;
  }

  restore(block: number): void {
    this.#context.lists.pushFirst(this.#listOf(block), block);
  }

  explain(block: number): string {
    return `lfu: reused ${this.#context.timesReused[block]} times; goes when all blocks reused less have gone`;
  }

  #listOf(block: number): number {
    const count = this.#context.timesReused[block] as number;
    if (count < this.#lowest) this.#lowest = count;
    return this.#firstList + count;
  }
}
