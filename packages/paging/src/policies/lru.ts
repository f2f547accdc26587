import type { EvictionPolicy, PolicyContext } from "../eviction-policy.ts";

/** Least recently used first; blocks of one sequence deepest first, because they are let go of in that order. */
export class LruPolicy implements EvictionPolicy {
  readonly name = "lru";
  readonly #lists: PolicyContext["lists"];
  readonly #list: number;

  constructor(context: PolicyContext) {
    this.#lists = context.lists;
    this.#list = context.lists.add(1);
  }

  insert(block: number): void {
    this.#lists.pushLast(this.#list, block);
  }

  reuse(block: number): void {
    this.remove(block);
  }

  remove(block: number): void {
    if (this.#lists.has(block)) this.#lists.remove(block);
  }

  candidate(): number {
    return this.#lists.first(this.#list);
  }

  restore(block: number): void {
    this.#lists.pushFirst(this.#list, block);
  }

  explain(): string {
    return "lru: goes when all blocks that were let go of earlier have gone";
  }
}
