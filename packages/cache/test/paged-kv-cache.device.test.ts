import { calculateSize } from "@kv/config";
import { type Device, DisposedError, openDevice } from "@kv/device-memory";
import { ShapeError } from "@kv/kernels";
import { VramTracker } from "@kv/vram-tracker";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { type Batch, LayerIndexError, PagedKVCache, type PagedKVCacheConfig } from "../src/index.ts";
import { expectContents, type ModelSequence, PagedModel, writeBatch } from "./paged-model.ts";

const UNIFORM: PagedKVCacheConfig = { numLayers: 3, numKvHeads: 2, headDim: 8, numBlocks: 24, tokensPerBlock: 4 };
const HYBRID: PagedKVCacheConfig = {
  ...UNIFORM,
  numLayers: 6,
  numBlocks: 60,
  layerGroups: [
    { name: "full", kind: "full", layers: [1, 4] },
    { name: "window", kind: "sliding", layers: [0, 2, 3, 5], windowTokens: 6 },
  ],
};
const CHECKED = { maxContextTokens: null, dtype: null, stateDtype: null, assumptions: [] };
const ROOM = { tokens: 60, sequences: 4, tokensPerBlock: 4 };
const UNEQUAL: PagedKVCacheConfig = {
  ...ROOM,
  shape: {
    ...CHECKED,
    modelType: "two widths",
    layers: [
      { kind: "full", index: 0, numKvHeads: 1, keyDim: 24, valueDim: 16, indexerKeyDim: 0 },
      { kind: "sliding", index: 1, numKvHeads: 2, keyDim: 8, valueDim: 8, windowTokens: 6 },
      { kind: "shared", index: 2, readsLayer: 0 },
      { kind: "sliding", index: 3, numKvHeads: 2, keyDim: 8, valueDim: 8, windowTokens: 6 },
      { kind: "none", index: 4 },
    ],
  },
};
const LATENT: PagedKVCacheConfig = {
  ...ROOM,
  shape: {
    ...CHECKED,
    modelType: "latents",
    layers: [0, 1, 2].map((index) =>
      index === 1
        ? { kind: "chunked", index, numKvHeads: 2, keyDim: 16, valueDim: 8, chunkTokens: 8 }
        : {
            kind: "latent",
            index,
            latentDim: 40,
            ropeDim: 8,
            indexerKeyDim: 0,
            expanded: { numKvHeads: 2, keyDim: 24, valueDim: 16 },
          },
    ),
  },
};
const LIMITS = { maxSequences: 4, maxTokens: 64, maxBlocksPerSequence: 16 };
const NUM_RUNS = process.env["KV_TEST_SMALL"] === "1" ? 5 : 150;
const missing = inject("deviceMissing");

describe.skipIf(missing !== "")(`PagedKVCache on ${inject("device")} ${missing}`, () => {
  let device: Device;
  beforeAll(() => {
    device = openDevice(inject("device"));
  });
  afterAll(() => device.dispose());

  function createSequence(cache: PagedKVCache, tokens: number[], namespace = ""): ModelSequence {
    return { sequence: cache.createSequence(tokens, { namespace }), namespace, tokens: [...tokens] };
  }

  test("takes exactly the planned bytes, as a contiguous cache of so many tokens", () => {
    const tracker = new VramTracker();
    const cache = PagedKVCache.allocate(device, UNIFORM, { tracker });
    const planned = calculateSize({ ...UNIFORM, maxContextLength: 24 * 4 });
    expect([cache.sizeBytes, cache.layout.sizeBytes, tracker.totalUsage]).toEqual([planned, planned, planned]);
    cache.dispose();
    expect(tracker.totalUsage).toBe(0);
  });

  test("several layer groups share one pool", () => {
    using cache = PagedKVCache.allocate(device, HYBRID);
    expect(cache.layout.buffers).toEqual([
      { numBlocks: 60, firstBlock: 0, bytesPerBlock: 4 * 2 * 2 * 2 * 8 * 2, sizeBytes: cache.sizeBytes },
    ]);
    expect(cache.sizeBytes).toBe(60 * 4 * 2 * 2 * 2 * 8 * 2);
    expect(cache.blocks.groups.map((group) => group.blocksPerSpan)).toEqual([1, 2]);
  });

  describe.each<[string, PagedKVCacheConfig]>([
    ["one group", UNIFORM],
    ["full and sliding groups", HYBRID],
    ["layers of unequal widths", UNEQUAL],
    ["latents beside a window", LATENT],
  ])("with %s", (_, config) => {
    test("a shared prefix is written once and read by both", () => {
      using cache = PagedKVCache.allocate(device, config);
      using batch = cache.createBatch(LIMITS);
      const model = new PagedModel();
      const prompt = Array.from({ length: 14 }, (_unused, i) => i + 1);
      const first = createSequence(cache, prompt);
      writeBatch(device, cache, batch, model, [first]);
      const second = createSequence(cache, [...prompt, 99, 98]);
      expect(first.sequence.reusedTokens).toBe(0);
      expect(second.sequence.reusedTokens).toBe(12);
      writeBatch(device, cache, batch, model, [second]);
      expectContents(cache, model, [first, second]);
    });

    test("nothing is shared across namespaces, or before it is written", () => {
      using cache = PagedKVCache.allocate(device, config);
      using batch = cache.createBatch(LIMITS);
      const model = new PagedModel();
      const prompt = [1, 2, 3, 4, 5, 6, 7, 8, 9];
      const a = createSequence(cache, prompt, "a");
      expect(createSequence(cache, prompt, "a").sequence.reusedTokens).toBe(0);
      writeBatch(device, cache, batch, model, [a]);
      const b = createSequence(cache, prompt, "b");
      expect(b.sequence.reusedTokens).toBe(0);
      expect(createSequence(cache, prompt, "a").sequence.reusedTokens).toBe(8);
      writeBatch(device, cache, batch, model, [b]);
      expectContents(cache, model, [a, b]);
    });

    test("a fork is copied where one of the two writes", () => {
      using cache = PagedKVCache.allocate(device, config);
      using batch = cache.createBatch(LIMITS);
      const model = new PagedModel();
      const parent = createSequence(cache, [1, 2, 3, 4, 5, 6]);
      writeBatch(device, cache, batch, model, [parent]);
      const child = { sequence: parent.sequence.fork(), namespace: "", tokens: [...parent.tokens] };
      for (const [each, token] of [
        [parent, 7],
        [child, 8],
        [parent, 9],
        [child, 10],
      ] as const) {
        each.sequence.append([token]);
        each.tokens.push(token);
        writeBatch(device, cache, batch, model, [each]);
      }
      expectContents(cache, model, [parent, child]);
    });

    test("random steps leave every sequence with its own tokens", () => {
      fc.assert(
        fc.property(fc.array(step, { minLength: 5, maxLength: 40 }), (steps) => {
          using cache = PagedKVCache.allocate(device, config, { policy: "lru" });
          using batch = cache.createBatch(LIMITS);
          runSteps(cache, batch, steps);
        }),
        { numRuns: NUM_RUNS },
      );
    });
  });

  const step = fc.record({
    action: fc.constantFrom("create", "append", "fork", "truncate", "dispose"),
    which: fc.nat(3),
    amount: fc.integer({ min: 1, max: 9 }),
    namespace: fc.constantFrom("a", "b"),
  });
  type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

  function runSteps(cache: PagedKVCache, batch: Batch, steps: readonly Step[]): void {
    const model = new PagedModel();
    const alive: ModelSequence[] = [];
    for (const { action, which, amount, namespace } of steps) {
      const target = alive[which % Math.max(alive.length, 1)];
      try {
        if (action === "create" && alive.length < 4) {
          alive.push(
            createSequence(
              cache,
              Array.from({ length: amount + 3 }, (_unused, i) => i % 5),
              namespace,
            ),
          );
        } else if (target === undefined) continue;
        else if (action === "append" && target.tokens.length + amount < 60) {
          const added = Array.from({ length: amount }, (_unused, i) => 10 + i);
          target.sequence.append(added);
          target.tokens.push(...added);
        } else if (action === "fork" && alive.length < 4) {
          alive.push({ sequence: target.sequence.fork(), namespace: target.namespace, tokens: [...target.tokens] });
        } else if (action === "truncate") {
          const length = Math.max(0, target.tokens.length - amount);
          target.sequence.truncate(length);
          target.tokens.length = length;
        } else if (action === "dispose") {
          alive.splice(alive.indexOf(target), 1)[0]?.sequence.dispose();
        }
      } catch (error) {
        expect(["OUT_OF_BLOCKS", "LOST_BLOCKS"]).toContain((error as { code: string }).code);
      }
      writeBatch(device, cache, batch, model, alive);
      cache.blocks.checkInvariants();
    }
    expectContents(cache, model, alive);
    for (const each of alive) each.sequence.dispose();
  }

  test("out of blocks says what there is, and changes nothing", () => {
    using cache = PagedKVCache.allocate(device, { ...UNIFORM, numBlocks: 4 });
    const held = cache.createSequence([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    const error = { code: "OUT_OF_BLOCKS", wantedBlocks: 2, freeBlocks: 1, evictableBlocks: 0 };
    expect(() => cache.createSequence([9, 8, 7, 6, 5])).toThrow(expect.objectContaining(error));
    expect(() => held.append([1, 2, 3, 4, 5, 6, 7, 8])).toThrow(expect.objectContaining({ code: "OUT_OF_BLOCKS" }));
    expect(held.length).toBe(9);
    expect(cache.blocks.usage().freeBlocks).toBe(1);
  });

  test("refuses inputs that are not the batch's tokens, and use after disposal", () => {
    const cache = PagedKVCache.allocate(device, UNIFORM);
    using batch = cache.createBatch(LIMITS);
    const sequence = cache.createSequence([1, 2, 3]);
    batch.prepare([sequence]);
    using two = device.allocate(2 * cache.view(0).keyBytesPerToken);
    using three = device.allocate(3 * cache.view(0).keyBytesPerToken);
    expect(() => cache.append(0, batch, { keys: two, values: two })).toThrow(ShapeError);
    expect(() => cache.append(0, batch, { keys: three, values: two })).toThrow(ShapeError);
    expect(() => cache.append(3, batch, { keys: three, values: three })).toThrow(LayerIndexError);
    cache.dispose();
    expect(() => cache.append(0, batch, { keys: three, values: three })).toThrow(DisposedError);
    expect(() => cache.createSequence([1])).toThrow(DisposedError);
  });

  test.each([
    { numBlocks: 0 },
    { numBlocks: 1.5 },
    { tokensPerBlock: 0 },
    { numLayers: -1 },
    { layerGroups: [] },
    { layerGroups: [{ name: "a", kind: "full", layers: [0, 1] }] as const },
    { layerGroups: [{ name: "a", kind: "full", layers: [0, 1, 1] }] as const },
  ])("refuses %j", (change) => {
    expect(() => PagedKVCache.allocate(device, { ...UNIFORM, ...change })).toThrow(
      expect.objectContaining({ code: "INVALID_CONFIG" }),
    );
  });
});
