import type { EvictionPolicy, PolicyContext } from "../eviction-policy.ts";

/** First stored, first evicted, however often it was used since. */
export class FifoPolicy implements EvictionPolicy {
  readonly name = "fifo";
  readonly #context: PolicyContext;
  readonly #list: number;
  readonly #overdue: Uint8Array;

  constructor(context: PolicyContext) {
    this.#context = context;
    this.#list = context.lists.add(1);
    this.#overdue = new Uint8Array(context.numBlocks);
  }

  insert(block: number): void {
    const { lists } = this.#context;
    if (lists.has(block)) return;
    if (this.#overdue[block] === 1) lists.pushFirst(this.#list, block);
    else lists.pushLast(this.#list, block);
  }

  reuse(): void {
    // A block keeps its place while it is used; `candidate` steps over it.
  }

  remove(block: number): void {
    this.#overdue[block] = 0;
    if (this.#context.lists.has(block)) this.#context.lists.remove(block);
  }

  candidate(): number {
    const { lists } = this.#context;
    let block = lists.first(this.#list);
    for (; block >= 0 && this.#context.isHeld(block); block = lists.first(this.#list)) {
      lists.remove(block);
      this.#overdue[block] = 1;
    }
    return block;
  }

  restore(block: number): void {
    this.#context.lists.pushFirst(this.#list, block);
  }

  explain(): string {
    return "fifo: goes when all blocks that were stored earlier have gone";
  }
}
