// No byte of a previous owner is left in a scrubbed block: told by the raw memory of the pool.

import { type Device, openDevice } from "@kv/device-memory";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { type AllocatePagedCacheOptions, type Batch, PagedKVCache, type PagedSequence } from "../src/index.ts";
import { readPool, tokenLayers } from "./paged-model.ts";

const CONFIG = { numLayers: 2, numKvHeads: 2, headDim: 8, numBlocks: 6, tokensPerBlock: 4 };
const ascending = (a: number, b: number): number => a - b;
const missing = inject("deviceMissing");

describe.skipIf(missing !== "")(`scrubbing on ${inject("device")} ${missing}`, () => {
  let device: Device;
  beforeAll(() => {
    device = openDevice(inject("device"));
  });
  afterAll(() => device.dispose());

  /** Writes all new tokens of a sequence with one byte, which tells whose they are. */
  function fill(cache: PagedKVCache, batch: Batch, sequence: PagedSequence, mark: number): void {
    batch.prepare([sequence]);
    for (const layer of tokenLayers(cache)) {
      using input = device.allocate(batch.numTokens * cache.view(layer).keyBytesPerToken);
      input.fill(mark);
      cache.append(layer, batch, { keys: input, values: input });
    }
    batch.commit();
  }

  function marksIn(cache: PagedKVCache, sequence: PagedSequence): Set<number> {
    const [pool = Buffer.alloc(0)] = readPool(cache);
    const { bytesPerBlock = 0 } = cache.layout.buffers[0] ?? {};
    const blocks = sequence
      .blockTable()
      .map((block) => pool.subarray(block * bytesPerBlock, (block + 1) * bytesPerBlock));
    return new Set(Buffer.concat(blocks));
  }

  /** What is to be seen in the blocks that a second sequence took over from a first one, before and after it writes. */
  function takeOver(scrub: AllocatePagedCacheOptions["scrub"], from: string, to: string): [number[], number[]] {
    using cache = PagedKVCache.allocate(device, CONFIG, { policy: "lru", ...(scrub === undefined ? {} : { scrub }) });
    using batch = cache.createBatch({ maxSequences: 1, maxTokens: 64, maxBlocksPerSequence: 6 });
    const first = cache.createSequence(new Int32Array(24).fill(1), { namespace: from });
    fill(cache, batch, first, 0xa1);
    first.dispose();
    const second = cache.createSequence(new Int32Array(22).fill(2), { namespace: to });
    cache.settle();
    const before = [...marksIn(cache, second)];
    fill(cache, batch, second, 0xb2);
    return [before.sort(ascending), [...marksIn(cache, second)].sort(ascending)];
  }

  test("between namespaces: blocks are zero when they come, and then hold their new owner's bytes alone", () => {
    expect(takeOver("between-namespaces", "a", "b")).toEqual([[0], [0, 0xb2]]);
    expect(takeOver("between-namespaces", "a", "a")).toEqual([[0xa1], [0xa1, 0xb2]]);
  });

  test("always: within a namespace too", () => {
    expect(takeOver("always", "a", "a")).toEqual([[0], [0, 0xb2]]);
    expect(takeOver("always", "a", "b")).toEqual([[0], [0, 0xb2]]);
  });

  test("never, the default: the bytes are still there, out of reach of the lengths that kernels go by", () => {
    expect(takeOver(undefined, "a", "b")).toEqual([[0xa1], [0xa1, 0xb2]]);
  });

  test("a block that went through free hands is scrubbed when it comes to others", () => {
    using cache = PagedKVCache.allocate(device, CONFIG, { scrub: "between-namespaces" });
    using batch = cache.createBatch({ maxSequences: 1, maxTokens: 64, maxBlocksPerSequence: 6 });
    const first = cache.createSequence(new Int32Array(24).fill(1), { namespace: "a", cache: false });
    fill(cache, batch, first, 0xa1);
    first.dispose();
    expect(cache.blocks.usage().freeBlocks).toBe(6);
    const second = cache.createSequence(new Int32Array(3).fill(2), { namespace: "b" });
    fill(cache, batch, second, 0xb2);
    expect(marksIn(cache, second)).toEqual(new Set([0, 0xb2]));
    second.append(new Int32Array(21).fill(3));
    fill(cache, batch, second, 0xb3);
    expect([...marksIn(cache, second)].sort(ascending)).toEqual([0xb2, 0xb3]);
  });

  test("a copy on write in a scrubbed block shows its source and nothing else", () => {
    using cache = PagedKVCache.allocate(device, CONFIG, { scrub: "always" });
    using batch = cache.createBatch({ maxSequences: 1, maxTokens: 64, maxBlocksPerSequence: 6 });
    const stranger = cache.createSequence(new Int32Array(24).fill(1), { namespace: "a", cache: false });
    fill(cache, batch, stranger, 0xa1);
    stranger.dispose();
    const trunk = cache.createSequence([1, 2, 3, 4, 5, 6], { namespace: "b" });
    fill(cache, batch, trunk, 0xb2);
    const fork = trunk.fork();
    fork.append([9]);
    fill(cache, batch, fork, 0xc3);
    expect([...marksIn(cache, fork)].sort(ascending)).toEqual([0, 0xb2, 0xc3]);
    expect([...marksIn(cache, trunk)].sort(ascending)).toEqual([0, 0xb2]);
  });
});
