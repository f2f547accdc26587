import { type Device, openDevice } from "@kv/device-memory";
import { DtypeError, ShapeError } from "@kv/kernels";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { CacheFullError, KVCache, LayerKindError, PagedKVCache, type PagedSequence } from "../src/index.ts";
import { AttendModel, type AttendShape, bytesOf, type OracleSequence } from "./attend-model.ts";

const missing = inject("deviceMissing");
const SHAPE = { numQueryHeads: 4, numKvHeads: 2, headDim: 64, windowTokens: 0 };
const SHAPES: readonly AttendShape[] = [
  { ...SHAPE, dtype: "fp32" },
  { ...SHAPE, dtype: "fp16" },
  { ...SHAPE, dtype: "bf16", numQueryHeads: 7, numKvHeads: 1 },
  { ...SHAPE, dtype: "bf16", numQueryHeads: 8, headDim: 128 },
];
const LAYERS = 2;

describe.skipIf(missing !== "")(`attend on ${inject("device")} ${missing}`, () => {
  let device: Device;
  beforeAll(() => {
    device = openDevice(inject("device"));
  });
  afterAll(() => device.dispose());

  test.each(SHAPES)("a prompt, then tokens, in one sequence: $dtype, $numQueryHeads heads of $headDim", (shape) => {
    using model = new AttendModel(device, shape);
    using cache = KVCache.allocate(device, { ...shape, numLayers: LAYERS, maxContextLength: 80 });
    const layers = Array.from({ length: LAYERS }, emptySequence);
    for (const count of [30, 1, 1, 16, 17, 1]) {
      layers.forEach((sequence, layer) => {
        const step = model.step([{ sequence, count }]);
        cache.attend(layer, step.input);
        step.check();
      });
      cache.advancePosition(count);
    }
    expect(cache.position).toBe(66);
  });

  test.each(SHAPES)(
    "a ragged batch, then tokens of each sequence: $dtype, $numQueryHeads heads of $headDim",
    (shape) => {
      using model = new AttendModel(device, shape);
      using cache = PagedKVCache.allocate(device, { ...shape, numLayers: LAYERS, numBlocks: 64, tokensPerBlock: 8 });
      using batch = cache.createBatch({ maxSequences: 4, maxTokens: 100, maxBlocksPerSequence: 12 });
      const prompts = [40, 3, 21].map((length, i) => Array.from({ length }, (_, token) => 1000 * i + token));
      const sequences = prompts.map((prompt) => cache.createSequence(prompt));
      const known = sequences.map(() => Array.from({ length: LAYERS }, emptySequence));
      runBatch(model, cache, batch, sequences, known);
      for (let token = 0; token < 3; token++) {
        for (const sequence of sequences) sequence.appendToken(token);
        runBatch(model, cache, batch, sequences, known);
      }
      // Chunks beside single tokens.
      sequences.forEach((sequence, i) => {
        sequence.append(Array.from({ length: 1 + 9 * i }, (_, token) => token));
      });
      runBatch(model, cache, batch, sequences, known);
      // A prompt whose beginning is found in the cache.
      const again = cache.createSequence([...(prompts[0] ?? []), 7, 8]);
      expect(again.reusedTokens).toBe(40);
      const reused = (known[0] ?? []).map(({ keys, values }) => ({
        keys: keys.slice(0, 40),
        values: values.slice(0, 40),
      }));
      runBatch(model, cache, batch, [again], [reused]);
      for (const sequence of [...sequences, again]) sequence.dispose();
    },
  );

  test("a layer with a window sees no more than that", () => {
    const shape = { ...SHAPE, dtype: "fp32", windowTokens: 10 } as const;
    using model = new AttendModel(device, shape);
    using cache = PagedKVCache.allocate(device, {
      ...shape,
      numLayers: 1,
      numBlocks: 16,
      tokensPerBlock: 4,
      layerGroups: [{ name: "window", kind: "sliding", windowTokens: 10, layers: [0] }],
    });
    using batch = cache.createBatch({ maxSequences: 1, maxTokens: 30, maxBlocksPerSequence: 16 });
    using sequence = cache.openSequence([]);
    const known = [[emptySequence()]];
    for (const count of [25, 1, 5]) {
      sequence.append(Array.from({ length: count }, (_, token) => token));
      runBatch(model, cache, batch, [sequence], known);
    }
  });

  test("refuses what does not fit, and neither writes nor rotates", () => {
    const shape = { ...SHAPE, dtype: "fp32" } as const;
    using model = new AttendModel(device, shape);
    using cache = KVCache.allocate(device, { ...shape, numLayers: 1, maxContextLength: 20 });
    const { input } = model.step([{ sequence: emptySequence(), count: 18 }]);
    const small = model.upload(new Uint8Array(4));
    const [query, memory] = [bytesOf(input.q), bytesOf(cache.memory)];
    for (const wrong of ["q", "k", "v", "output"] as const) {
      expect(() => cache.attend(0, { ...input, [wrong]: small }), wrong).toThrow(ShapeError);
    }
    expect(() => cache.attend(0, { ...input, rotary: { style: "half-split", inverseFrequencies: small } })).toThrow(
      ShapeError,
    );
    expect(() => cache.attend(0, { ...input, numQueryHeads: 3 })).toThrow(/numQueryHeads/);
    expect(() => cache.attend(0, { ...input, output: input.q })).toThrow(/output/);
    expect(() => cache.attend(0, { ...input, queryDtype: "fp8_e4m3" as never })).toThrow(DtypeError);
    cache.advancePosition(3);
    expect(() => cache.attend(0, input)).toThrow(CacheFullError);
    expect(bytesOf(input.q).equals(query)).toBe(true);
    expect(bytesOf(cache.memory).equals(memory)).toBe(true);
  });

  test("refuses layers that it cannot compute", () => {
    const shape = { ...SHAPE, dtype: "fp32" } as const;
    using model = new AttendModel(device, shape);
    using cache = PagedKVCache.allocate(device, {
      ...shape,
      numLayers: 1,
      numBlocks: 16,
      tokensPerBlock: 4,
      layerGroups: [{ name: "chunks", kind: "chunked", chunkTokens: 8, layers: [0] }],
    });
    using batch = cache.createBatch({ maxSequences: 1, maxTokens: 30, maxBlocksPerSequence: 16 });
    using sequence = cache.createSequence([1, 2]);
    batch.prepare([sequence]);
    const { input } = model.step([{ sequence: emptySequence(), count: 2 }]);
    expect(() => cache.attend(0, batch, input)).toThrow(LayerKindError);
  });
});

/** One step of all layers, checked. */
function runBatch(
  model: AttendModel,
  cache: PagedKVCache,
  batch: ReturnType<PagedKVCache["createBatch"]>,
  sequences: readonly PagedSequence[],
  known: readonly (readonly OracleSequence[])[],
): void {
  batch.prepare(sequences);
  // Attention is the same when all positions of a sequence are off by as much, so they are looked at themselves.
  const positions = sequences.flatMap(({ length, writtenTokens }) =>
    Array.from({ length: length - writtenTokens }, (_, i) => writtenTokens + i),
  );
  expect(bytesOf(batch.positions).equals(Buffer.from(Int32Array.from(positions).buffer))).toBe(true);
  for (let layer = 0; layer < cache.layout.numLayers; layer++) {
    const tokens = sequences.map(({ length, writtenTokens }, i) => {
      return { sequence: known[i]?.[layer] ?? emptySequence(), count: length - writtenTokens };
    });
    const step = model.step(tokens);
    cache.attend(layer, batch, step.input);
    step.check();
  }
  batch.commit();
}

function emptySequence(): OracleSequence {
  return { keys: [], values: [] };
}
