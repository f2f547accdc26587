import { describe, expect, test } from "vitest";
import {
  crossBytesPerEncoderToken,
  growthBytesPerToken,
  sizeOf,
  stateBytesPerSequence,
  windowBytes,
  windowlessBytesPerToken,
} from "../src/cache-size.ts";
import { fromHuggingFace } from "../src/hugging-face/from-hugging-face.ts";
import { MODELS, READABLE } from "./models.ts";

/** Entries whose configuration does not say enough, and why; they must be refused, not guessed. */
const REFUSED: Readonly<Record<string, RegExp>> = {
  "nvidia/Llama-3_1-Nemotron-Ultra-253B-v1":
    /block_configs must be a list of 162 blocks, which alone says what layers attend, got undefined/,
};

test("the fixture is whole", () => {
  expect(MODELS).toHaveLength(201);
  expect(READABLE).toHaveLength(201 - Object.keys(REFUSED).length);
});

test.each(Object.entries(REFUSED))("%s is refused", (id, message) => {
  expect(() => fromHuggingFace(MODELS.find((model) => model.id === id)?.config)).toThrow(message);
});

test("Nemotron-Ultra-253B is read once its file says which layers attend", () => {
  const entry = MODELS.find(({ id }) => id === "nvidia/Llama-3_1-Nemotron-Ultra-253B-v1");
  // The entry is incomplete: 64 of 162 layers attend, and nothing in it tells which, nor that there are 64.
  expect(Object.keys(entry?.config ?? {})).toEqual([
    "model_type",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
  ]);
  const blocks = Array.from({ length: 162 }, (_, i) => ({
    attention: i < 64 ? { no_op: false, n_heads_in_group: 16 } : { no_op: true, n_heads_in_group: null },
  }));
  expect(growthBytesPerToken(fromHuggingFace({ ...entry?.config, block_configs: blocks }))).toBe(
    entry?.kv.bytesPerTokenFp16,
  );
});

describe.each(READABLE)("$id", ({ config, kv }) => {
  const shape = fromHuggingFace(config);

  test("grows as published", () => {
    expect(growthBytesPerToken(shape)).toBe(kv.bytesPerTokenFp16);
    expect(windowlessBytesPerToken(shape)).toBe(kv.bytesPerTokenAllLayersFp16 ?? kv.bytesPerTokenFp16);
  });

  test("windows, state and cross attention", () => {
    expect(windowBytes(shape)).toBe(kv.windowBytesFp16 ?? 0);
    expect(crossBytesPerEncoderToken(shape)).toBe(kv.crossBytesPerEncoderTokenFp16 ?? 0);
    expect(stateBytesPerSequence(shape, { conv: "fp32", state: "fp32" })).toBe(kv.statePerSequence?.bytesAllF32 ?? 0);
    expect(stateBytesPerSequence(shape)).toBe(kv.statePerSequence?.bytesConv16State32 ?? 0);
    expect(sizeOf(shape, { tokens: 0 }).totalBytes).toBe(stateBytesPerSequence(shape) + (kv.crossBytesFp16 ?? 0));
  });

  test("expanded latents", () => {
    const expanded = shape.layers.reduce((bytes, layer) => {
      if (layer.kind !== "latent") return bytes;
      return bytes + 2 * layer.expanded.numKvHeads * (layer.expanded.keyDim + layer.expanded.valueDim);
    }, 0);
    expect(expanded).toBe(kv.expandedBytesPerTokenFp16 ?? 0);
  });

  test("kinds and places of layers", () => {
    const caching = kv.perLayerKinds.filter(({ kind }) => kind in KIND_OF);
    for (const [kind, ours] of new Set(
      caching.map(({ kind }) => `${kind} ${KIND_OF[kind]}`.split(" ") as [string, string]),
    )) {
      const listed = caching.filter((each) => each.kind === kind && each.layerIndices);
      const indices = listed.flatMap((each) => each.layerIndices ?? []);
      if (indices.length === 0) continue;
      const own = shape.layers.filter((layer) => layer.kind === ours).map(({ index }) => index);
      expect(own).toEqual(indices.toSorted((left, right) => left - right));
    }
  });
});

const KIND_OF: Readonly<Record<string, string>> = {
  full: "full",
  sliding: "sliding",
  chunked: "chunked",
  mla: "latent",
  shared: "shared",
  linear: "state",
  kda: "state",
  mamba1: "state",
};
