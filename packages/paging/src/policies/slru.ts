import type { EvictionPolicy, PolicyContext } from "../eviction-policy.ts";

/** Options of `slruPolicy`. */
export interface SlruOptions {
  /** Largest part of the pool for blocks that were reused, from 0 to 1. Default 0.8. */
  protectedShare?: number;
}

/**
 * Segmented LRU: blocks never reused go first, least recently used first. Reused ones are protected; when those are more
 * than their share, the least recently used of them queues again behind the others.
 */
export class SlruPolicy implements EvictionPolicy {
  readonly name = "slru";
  readonly #context: PolicyContext;
  readonly #probation: number;
  readonly #protected: number;
  readonly #isProtected: Uint8Array;
  readonly #maxProtected: number;
  #numProtected = 0;

  constructor(context: PolicyContext, { protectedShare = 0.8 }: SlruOptions = {}) {
    this.#context = context;
    this.#probation = context.lists.add(1);
    this.#protected = context.lists.add(1);
    this.#isProtected = new Uint8Array(context.numBlocks);
    this.#maxProtected = Math.floor(context.numOwnBlocks * protectedShare);
  }

  insert(block: number): void {
    const { lists, timesReused } = this.#context;
    if (timesReused[block] === 0) {
      lists.pushLast(this.#probation, block);
      return;
    }
    this.#isProtected[block] = 1;
    this.#numProtected++;
    lists.pushLast(this.#protected, block);
    if (this.#numProtected > this.#maxProtected) this.#demote(lists.first(this.#protected));
  }

  reuse(block: number): void {
    this.remove(block);
  }

  remove(block: number): void {
    this.#numProtected -= this.#isProtected[block] as number;
    this.#isProtected[block] = 0;
    if (this.#context.lists.has(block)) this.#context.lists.remove(block);
  }

  candidate(): number {
    const block = this.#context.lists.first(this.#probation);
    return block >= 0 ? block : this.#context.lists.first(this.#protected);
  }

  restore(block: number): void {
    this.#context.lists.pushFirst(this.#probation, block);
  }

  explain(block: number): string {
    return this.#isProtected[block] === 1
      ? "slru: protected, because it was reused; goes after all blocks on probation"
      : "slru: on probation; goes when all let go of earlier have gone";
  }

  #demote(block: number): void {
    this.remove(block);
    this.#context.lists.pushLast(this.#probation, block);
  }
}
