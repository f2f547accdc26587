// Caches of the models whose layers are of several kinds: what they take is what is planned, and windows give back.

import { fromHuggingFace, InvalidConfigError, type ModelShape, sizeOf } from "@kv/config";
import { findPreset, MODEL_PRESETS, presetName, presetShape } from "@kv/config/presets";
import { type Device, openDevice } from "@kv/device-memory";
import { VramTracker } from "@kv/vram-tracker";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { holdsTokens, LayerKindError, PagedKVCache, pagedLayout } from "../src/index.ts";
import { expectContents, type ModelSequence, PagedModel, writeBatch } from "./paged-model.ts";

const missing = inject("deviceMissing");

function shapeOf(name: string): ModelShape {
  const preset = findPreset(name);
  if (preset === undefined) throw new Error(`no preset ${name}`);
  return presetShape(preset);
}

const HYBRIDS = [
  { name: "gpt-oss-20b", tokens: 1000, sequences: 3, buffers: 1 },
  { name: "gemma-3-27b-it", tokens: 1500, sequences: 1, buffers: 1 },
  { name: "qwen3-next-80b-a3b-instruct", tokens: 200, sequences: 3, buffers: 2 },
  { name: "deepseek-v3", tokens: 500, sequences: 2, buffers: 1 },
];

describe.skipIf(missing !== "")(`caches of models on ${inject("device")} ${missing}`, () => {
  let device: Device;
  beforeAll(() => {
    device = openDevice(inject("device"));
  });
  afterAll(() => device.dispose());

  test.each(HYBRIDS)("$name takes what is planned, to the byte", ({ name, tokens, sequences, buffers }) => {
    const tracker = new VramTracker();
    const shape = shapeOf(name);
    const cache = PagedKVCache.allocate(device, { shape, tokens, sequences, tokensPerBlock: 16 }, { tracker });
    const planned = sizeOf(shape, { tokens, sequences, tokensPerBlock: 16 });
    expect(cache.sizeBytes).toBe(planned.totalBytes);
    expect(cache.buffers.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)).toBe(planned.totalBytes);
    expect(tracker.usageByPurpose("kv_cache")).toBe(planned.totalBytes);
    expect(cache.blocks.usage().poolBytes).toBe(planned.totalBytes);
    expect(cache.buffers.length).toBe(buffers);
    cache.dispose();
    expect(tracker.totalUsage).toBe(0);
  });

  test.each(MODEL_PRESETS.map((preset) => [presetName(preset), preset] as const))("%s: plan = layout", (_, preset) => {
    const shape = presetShape(preset);
    for (const use of [
      { tokens: 1, sequences: 1, tokensPerBlock: 16 },
      { tokens: 8192, sequences: 7, tokensPerBlock: 16, format: "fp8_e4m3" as const },
      { tokens: 100_001, sequences: 3, tokensPerBlock: 64 },
    ]) {
      try {
        expect(pagedLayout({ shape, ...use }).sizeBytes).toBe(sizeOf(shape, use).totalBytes);
      } catch (error) {
        expect(error).toBeInstanceOf(LayerKindError);
        const kinds = shape.layers.map((layer) =>
          "indexerKeyDim" in layer && layer.indexerKeyDim > 0 ? "" : layer.kind,
        );
        expect(kinds.some((kind) => ["", "cross", "compressed"].includes(kind))).toBe(true);
      }
    }
  });

  test.each([
    ["deepseek-v3.2", /^layer 0 is latent with an indexer; a paged cache holds no indexer keys$/],
    ["deepseek-v4-flash", /^layer 0 is sliding; without values of its own; /],
    ["whisper-large-v3", /^layer 1 is cross; a paged cache holds full, sliding, chunked, latent and state layers$/],
  ])("%s is refused, and why", (name, message) => {
    const allocate = (): unknown => PagedKVCache.allocate(device, { shape: shapeOf(name), tokens: 16 });
    expect(allocate).toThrow(LayerKindError);
    expect(allocate).toThrow(message);
  });

  test.each(["q8_0", "mxfp4", "int4", { keys: "fp16", values: "fp8_e4m3" }] as const)(
    "elements with scales, and keys and values of two types, are refused: %s",
    (format) => {
      const config = { shape: shapeOf("llama-3-8b"), tokens: 16, format };
      expect(() => PagedKVCache.allocate(device, config)).toThrow(InvalidConfigError);
      expect(() => PagedKVCache.allocate(device, config)).toThrow(/one plain type for keys and values/);
    },
  );

  test("what a window has left is given back: a pool for the planned sequences holds them as they grow", () => {
    const shape = shapeOf("gpt-oss-20b");
    using cache = PagedKVCache.allocate(device, { shape, tokens: 1024, sequences: 2, tokensPerBlock: 16 });
    // Chunks of a block: what a window takes at most is planned for tokens that come one after the other.
    const live = [cache.createSequence([]), cache.createSequence([])];
    const heldAfter: number[] = [];
    for (let length = 16; length <= 1024; length += 16) {
      for (const [i, sequence] of live.entries()) sequence.append(new Int32Array(16).fill(i));
      if (length === 256 || length === 1024) heldAfter.push(cache.blocks.counters().heldBlocks);
    }
    // 12 layers with a window of 128 tokens: at most 9 blocks of 16, however long the sequence is.
    expect(heldAfter).toEqual([2 * (16 + 9), 2 * (64 + 9)]);
    expect(live[0]?.blockTable(0).filter((block) => block >= 0).length).toBe(9);
    expect(cache.blocks.numBlocks).toBe(2 * (64 + 9));
    expect(() => live[0]?.append([1])).toThrow(expect.objectContaining({ code: "OUT_OF_BLOCKS" }));
    cache.blocks.checkInvariants();
  });

  test("a prefix is reused only as far as every group still has it", () => {
    const shape = shapeOf("gpt-oss-20b");
    const small = { ...shape, layers: shape.layers.slice(0, 2) };
    using cache = PagedKVCache.allocate(device, { shape: small, tokens: 800, sequences: 2 }, { policy: "lru" });
    using batch = cache.createBatch({ maxSequences: 1, maxTokens: 800, maxBlocksPerSequence: 64 });
    const prompt = Int32Array.from({ length: 400 }, (_, i) => i);
    const serve = (tokens: Int32Array): number => {
      using sequence = cache.createSequence(tokens);
      batch.prepare([sequence]);
      batch.commit();
      return sequence.reusedTokens;
    };
    serve(prompt);
    expect(serve(prompt)).toBe(384);
    // Others take the room of the oldest blocks, those of the window among them.
    serve(Int32Array.from({ length: 640 }, (_, i) => 5000 + i));
    const reusable = cache.blocks.countReusable(prompt);
    const cachedFull = cache.blocks.events
      .snapshot()
      .stored.filter(({ group, tokens }) => group === 1 && (tokens[0] ?? 0) < 400);
    expect(reusable).toBeLessThan(16 * cachedFull.length);
    expect(serve(prompt)).toBe(reusable);
  });

  test("states begin as zeros, are copied at checkpoints, and a prefix is reused there alone", () => {
    const shape = shapeOf("qwen3-next-80b-a3b-instruct");
    const small = { ...shape, layers: shape.layers.slice(0, 4) };
    const config = { shape: small, tokens: 64, sequences: 4, tokensPerBlock: 16, checkpointTokens: 16 };
    using cache = PagedKVCache.allocate(device, config, { policy: "lru" });
    using batch = cache.createBatch({ maxSequences: 1, maxTokens: 64, maxBlocksPerSequence: 4 });
    const model = new PagedModel();
    const run = (each: ModelSequence, mark: number): void => {
      writeBatch(device, cache, batch, model, [each]);
      for (const layer of [0, 1, 2]) cache.state(layer, each.sequence).recurrence.fill(mark + layer, cache.stream);
    };
    const stateOf = (each: ModelSequence, layer: number): Buffer => {
      cache.settle();
      const { recurrence } = cache.state(layer, each.sequence);
      const bytes = Buffer.alloc(recurrence.sizeBytes, 0xaa);
      recurrence.copyToHostSync(bytes, cache.stream);
      return bytes;
    };
    const isAll = (bytes: Buffer, value: number): boolean => bytes.every((byte) => byte === value);
    const prompt = Array.from({ length: 40 }, (_, i) => i);
    const first: ModelSequence = {
      sequence: cache.createSequence(prompt.slice(0, 16)),
      namespace: "",
      tokens: prompt.slice(0, 16),
    };
    expect(isAll(stateOf(first, 1), 0)).toBe(true);
    batch.prepare([first.sequence]);
    for (const layer of [0, 1, 2]) cache.state(layer, first.sequence).recurrence.fill(10 + layer, cache.stream);
    batch.commit();
    first.sequence.append(prompt.slice(16, 32));
    first.tokens.push(...prompt.slice(16, 32));
    batch.prepare([first.sequence]);
    for (const layer of [0, 1, 2]) cache.state(layer, first.sequence).recurrence.fill(20 + layer, cache.stream);
    batch.commit();
    first.sequence.append([99]);
    first.tokens.push(99);
    run(first, 30);
    first.sequence.dispose();
    const second: ModelSequence = {
      sequence: cache.createSequence([...prompt.slice(0, 16), 7, 8]),
      namespace: "",
      tokens: [...prompt.slice(0, 16), 7, 8],
    };
    expect(second.sequence.reusedTokens).toBe(16);
    expect([0, 1, 2].map((layer) => isAll(stateOf(second, layer), 10 + layer))).toEqual([true, true, true]);
    run(second, 40);
    second.sequence.dispose();
    // A block that held states before begins as zeros for whoever comes without a prefix.
    const third: ModelSequence = { sequence: cache.createSequence([1000]), namespace: "", tokens: [1000] };
    expect([0, 1, 2].map((layer) => isAll(stateOf(third, layer), 0))).toEqual([true, true, true]);
    cache.blocks.checkInvariants();
  });

  test("a batch names the block of each sequence's state, and none in rows that the step does not have", () => {
    const shape = shapeOf("qwen3-next-80b-a3b-instruct");
    const small = { ...shape, layers: shape.layers.slice(0, 4) };
    using cache = PagedKVCache.allocate(device, { shape: small, tokens: 64, sequences: 4, tokensPerBlock: 16 });
    using batch = cache.createBatch({ maxSequences: 3, maxBlocksPerSequence: 4 });
    const place = cache.layout.places[0];
    const group = place?.group ?? -1;
    const firstBlock = cache.layout.buffers[place?.buffer ?? -1]?.firstBlock ?? Number.NaN;
    const rows = new Int32Array(3);
    using all = device.allocate(rows.byteLength);
    // While it is captured the batch is as large as it can be.
    using graph = batch.captureDecode(() => all.copyFrom(batch.stateBlocks(group), cache.stream));
    const sequences = [1, 2].map((token) => cache.createSequence([token]));
    for (const step of [sequences, sequences.slice(1)]) {
      batch.prepare(step);
      graph.replay();
      all.copyToHostSync(rows, cache.stream);
      const blocks = step.map((sequence) => (sequence.blockTable(group)[0] ?? Number.NaN) - firstBlock);
      expect(Array.from(rows)).toEqual([...blocks, -1, -1].slice(0, 3));
    }
  });

  test("latents and their rotary keys stand side by side and are read back", () => {
    const shape = shapeOf("deepseek-v3");
    const small = { ...shape, layers: shape.layers.slice(0, 2) };
    using cache = PagedKVCache.allocate(device, { shape: small, tokens: 50, sequences: 2 });
    using batch = cache.createBatch({ maxSequences: 2, maxTokens: 64, maxBlocksPerSequence: 4 });
    expect([cache.view(0).keyBytesPerToken, cache.view(0).valueBytesPerToken]).toEqual([1024, 128]);
    const model = new PagedModel();
    const tokens = Array.from({ length: 37 }, (_, i) => i);
    const each: ModelSequence = { sequence: cache.createSequence(tokens), namespace: "", tokens };
    writeBatch(device, cache, batch, model, [each]);
    expectContents(cache, model, [each]);
  });

  test("layers without tokens, shared ones and others of their kind are refused by name", () => {
    const shape = fromHuggingFace({
      model_type: "qwen3_next",
      num_hidden_layers: 4,
      hidden_size: 64,
      num_attention_heads: 4,
      num_key_value_heads: 2,
      head_dim: 16,
      full_attention_interval: 4,
      linear_conv_kernel_dim: 4,
      linear_key_head_dim: 8,
      linear_value_head_dim: 8,
      linear_num_key_heads: 2,
      linear_num_value_heads: 4,
      max_position_embeddings: 4096,
    });
    using cache = PagedKVCache.allocate(device, { shape, tokens: 32 });
    using sequence = cache.createSequence([1]);
    expect(() => cache.view(0)).toThrow(LayerKindError);
    expect(() => cache.state(3, sequence)).toThrow(LayerKindError);
    expect(() => cache.view(4)).toThrow(expect.objectContaining({ code: "LAYER_INDEX" }));
    expect(cache.layout.places.map((place) => place !== undefined && holdsTokens(place.holds))).toEqual([
      false,
      false,
      false,
      true,
    ]);
    const wrong = [
      { tokens: 0 },
      { tokens: 8, sequences: 0 },
      { tokens: 8, tokensPerBlock: 0 },
      { tokens: 8, format: "q8_0" as const },
    ];
    for (const change of wrong) {
      expect(() => PagedKVCache.allocate(device, { shape, ...change })).toThrow(
        expect.objectContaining({ code: "INVALID_CONFIG" }),
      );
    }
    const crossed = findPreset("llama-3.2-11b-vision-instruct");
    if (crossed === undefined) throw new Error("no preset");
    expect(() => PagedKVCache.allocate(device, { shape: presetShape(crossed), tokens: 32 })).toThrow("cross");
  });
});
