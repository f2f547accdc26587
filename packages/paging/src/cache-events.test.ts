import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BlockManager } from "./block-manager.ts";
import type { CacheEvent, CacheSnapshot, StoredBlock } from "./cache-events.ts";

const tokens = (length: number, first = 0): number[] => Array.from({ length }, (_, i) => first + i);

/** Keeps what it is told of, as a router would. */
class Mirror {
  readonly blocks: Map<number, StoredBlock> = new Map();
  #sequence: number;

  constructor(snapshot: CacheSnapshot) {
    this.#sequence = snapshot.sequence;
    for (const stored of snapshot.stored) this.blocks.set(stored.block, stored);
  }

  apply(event: CacheEvent): void {
    expect(event.sequence).toBe(this.#sequence + 1);
    this.#sequence = event.sequence;
    if (event.type === "stored") {
      const { type: _, sequence: __, ...stored } = event;
      this.blocks.set(event.block, stored);
    } else if (event.type === "removed") this.blocks.delete(event.block);
    else for (const block of event.blocks) this.blocks.delete(block);
  }
}

const byBlock = (stored: Iterable<StoredBlock>): StoredBlock[] => [...stored].sort((a, b) => a.block - b.block);

describe("events", () => {
  test("a mirror that begins at any time stays equal to the cache", () => {
    const step = fc.record({
      first: fc.nat(2),
      length: fc.nat(24),
      clear: fc.nat(12),
      namespace: fc.constantFrom("a", "b"),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: "max" }), fc.nat(30), (steps, begin) => {
        const pool = new BlockManager({ numBlocks: 12, tokensPerBlock: 4 });
        let mirror: Mirror | undefined;
        for (const [i, { first, length, clear, namespace }] of steps.entries()) {
          if (i === begin) {
            const started = new Mirror(pool.events.snapshot());
            pool.events.subscribe((event) => started.apply(event));
            mirror = started;
          }
          if (clear === 0) pool.clear(namespace);
          const table = pool.createSequence(tokens(length, first * 4), { namespace });
          if (length > 8) table.truncate(7);
          table.append([1, 2, 3]);
          table.dispose();
          if (mirror === undefined) continue;
          expect(byBlock(mirror.blocks.values())).toEqual(byBlock(pool.events.snapshot().stored));
        }
      }),
    );
  });

  test("can be read as a stream, which says when events were lost", async () => {
    const pool = new BlockManager({ numBlocks: 8, tokensPerBlock: 4 });
    const stream = pool.events.stream(2);
    pool.createSequence(tokens(8)).dispose();
    expect((await stream.next()).value).toMatchObject({ type: "stored", sequence: 1, parentPrefix: null });
    pool.createSequence(tokens(16, 100)).dispose();
    expect((await stream.next()).value).toEqual({ type: "lost", sequence: 6 });
    const next = stream.next();
    expect(pool.clear()).toBe(6);
    expect((await next).value).toMatchObject({ type: "cleared", sequence: 7, namespace: undefined });
    await stream.return?.();
    expect(await stream.next()).toEqual({ done: true, value: undefined });
  });
});
