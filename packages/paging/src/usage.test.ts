import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BlockManager } from "./block-manager.ts";
import type { PoolUsage } from "./usage.ts";

const tokens = (length: number, first = 0): number[] => Array.from({ length }, (_, i) => first + i);

function blocksOf(usage: PoolUsage | PoolUsage["namespaces"][number]): number {
  return usage.ownBlocks + usage.sharedBlocks + usage.pinnedBlocks + usage.cachedBlocks;
}

describe("usage", () => {
  test("counts own, shared, pinned, cached and free blocks and their waste", () => {
    const groups = [
      { name: "full", kind: "full", usedBytesPerBlock: 100 } as const,
      { name: "sliding", kind: "sliding", windowTokens: 3, usedBytesPerBlock: 60 } as const,
    ];
    const pool = new BlockManager({ numBlocks: 20, tokensPerBlock: 4, bytesPerBlock: 100, groups });
    const table = pool.createSequence(tokens(10));
    const fork = table.fork(8);
    const usage = pool.usage();
    expect(usage).toMatchObject({ sharedBlocks: 3, ownBlocks: 3, cachedBlocks: 0, freeBlocks: 14, poolBytes: 2000 });
    expect(usage.waste).toEqual({
      tailBytes: 50 + 30,
      paddingBytes: 3 * 40,
      duplicateBytes: 0,
      windowBytes: 15 * (8 + 2),
    });
    expect([usage.tokensHeld, usage.tokenPlaces]).toEqual([20, 24]);
    expect(table.usage()).toEqual({ ownBlocks: 3, sharedBlocks: 3, ownBytes: 300, sharedBytes: 300 });
    fork.dispose();
    table.dispose();
    expect(pool.usage()).toMatchObject({ cachedBlocks: 4, freeBlocks: 16, occupancy: 1 });
  });

  test("sums to the pool exactly, whatever happens", () => {
    const step = fc.record({
      first: fc.nat(2),
      length: fc.nat(30),
      namespace: fc.constantFrom("a", "b"),
      drop: fc.nat(3),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40, size: "max" }), (steps) => {
        const pool = new BlockManager({ numBlocks: 64, tokensPerBlock: 4, bytesPerBlock: 8, maxPinnedBlocks: 64 });
        const live: { dispose(): void }[] = [];
        for (const { first, length, namespace, drop } of steps) {
          while (live.length > drop) live.shift()?.dispose();
          live.push(pool.createSequence(tokens(length, first * 4), { namespace }));
          if (drop === 1) live.push(pool.pin(tokens(length, first * 4), { namespace }));
          const usage = pool.usage();
          const byNamespace = usage.namespaces.reduce((sum, each) => sum + blocksOf(each), 0);
          expect(byNamespace).toBe(blocksOf(usage));
          expect(blocksOf(usage) + usage.freeBlocks).toBe(64);
          expect(usage.namespaces.reduce((sum, { bytes }) => sum + bytes, 8 * usage.freeBlocks)).toBe(usage.poolBytes);
        }
      }),
    );
  });
});
