import { describe, expect, test } from "vitest";
import { BlockManager } from "./block-manager.ts";
import type { EvictionPolicy, PolicyContext } from "./eviction-policy.ts";

/** Proposes the block that was let go of last: parents before their children, the wrong way round on purpose. */
class ParentsFirst implements EvictionPolicy {
  readonly name = "parents-first";
  readonly #lists: PolicyContext["lists"];
  readonly #list: number;

  constructor({ lists }: PolicyContext) {
    this.#lists = lists;
    this.#list = lists.add(1);
  }

  insert(block: number): void {
    this.#lists.pushFirst(this.#list, block);
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
    return "";
  }
}

function parentsFirst(numBlocks: number): BlockManager {
  return new BlockManager({ numBlocks, tokensPerBlock: 1, policy: (context) => new ParentsFirst(context) });
}

describe("BlockAllocator", () => {
  test("evicts no block that a cached child needs, whatever the policy proposes", () => {
    const pool = parentsFirst(6);
    pool.createSequence([1, 2, 3, 4, 5]).dispose();
    for (let evicted = 1; evicted <= 4; evicted++) {
      pool.createSequence(new Array(1 + evicted).fill(9), { cache: false }).dispose();
      pool.checkInvariants();
      expect(pool.countReusable([1, 2, 3, 4, 5, 6])).toBe(5 - evicted);
    }
  });

  test("evicts a block that waited for its children as soon as a twin stands in for it", () => {
    const pool = parentsFirst(6);
    pool.createSequence([1, 2]).dispose();
    pool.createSequence([1, 3]).dispose();
    pool.createSequence([7, 7, 7, 7], { cache: false }).dispose(); // evicts the block of 3; that of 1 waits for 2
    const again = pool.createSequence([1]);
    again.append([2]);
    pool.checkInvariants();
    pool.createSequence([8, 8, 8, 8], { cache: false });
    pool.checkInvariants();
    expect(pool.counters()).toMatchObject({ heldBlocks: 6, cachedBlocks: 0 });
    expect(again.storedTokens).toBe(2);
  });
});
