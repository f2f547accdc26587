import { CaptureError, type Device, type DeviceMemory, DisposedError, openDevice } from "@kv/device-memory";
import { checkContents, ShapeError } from "@kv/kernels";
import { InvalidOptionError } from "@kv/paging";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { encode } from "../../kernels/test/elements.ts";
import { Random } from "../../kernels/test/random.ts";
import { inverseFrequencies } from "../../kernels/test/rotary-oracle.ts";
import { type Batch, type DecodeGraph, PagedKVCache, type PagedSequence } from "../src/index.ts";
import { bytesOf } from "./attend-model.ts";

const missing = inject("deviceMissing");
const LAYERS = 3;
const [HEADS, KV_HEADS, HEAD_DIM] = [4, 2, 64];
const MAX_SEQUENCES = 4;
const MAX_TOKENS = 48;
const DTYPES = ["fp32", "fp16", "bf16"] as const;

describe.skipIf(missing !== "")(`a decode step as a graph on ${inject("device")} ${missing}`, () => {
  let device: Device;
  beforeAll(() => {
    device = openDevice(inject("device"));
  });
  afterAll(() => device.dispose());

  test.each(DTYPES)("gives the bits of the same calls, while sequences grow over blocks, come and go: %s", (dtype) => {
    using eager = new Model(device, dtype);
    using graphed = new Model(device, dtype);
    using graph = graphed.captureDecode();
    const pair = (tokens: number[]): Pair => [eager.cache.createSequence(tokens), graphed.cache.createSequence(tokens)];
    let pairs = [pair(numbers(7)), pair(numbers(3, 100)), pair(numbers(21, 200))];
    const step = (name: string, decode?: DecodeGraph): void => {
      const wanted = eager.step(pairs.map(([first]) => first));
      const found = graphed.step(
        pairs.map(([, second]) => second),
        decode,
      );
      expect(found.equals(wanted), name).toBe(true);
    };
    step("prompts");
    for (let token = 0; token < 14; token++) {
      for (const sequence of pairs.flat()) sequence.appendToken(token);
      step(`token ${token}`, graph);
      if (token === 4) pairs = pairs.slice(1);
      if (token === 6) pairs.push([pairs[0]?.[0].fork(), pairs[0]?.[1].fork()] as Pair);
      if (token === 8) for (const sequence of pairs[1] ?? []) sequence.truncate(sequence.length - 1);
      if (token === 9) {
        const last = pair(numbers(6, 300));
        for (const sequence of pairs.flat()) sequence.appendToken(1000);
        pairs.push(last);
        step("a prompt beside tokens");
      }
    }
    expect(graphed.contents().equals(eager.contents())).toBe(true);
  });

  test("takes several new tokens of each sequence, as speculation has them", () => {
    using eager = new Model(device, "bf16");
    using graphed = new Model(device, "bf16");
    using graph = graphed.captureDecode(3);
    const models = [eager, graphed] as const;
    const sequences = models.map(({ cache }) => [
      cache.createSequence(numbers(5)),
      cache.createSequence(numbers(2, 9)),
    ]);
    const prompts = models.map((model, i) => model.step(sequences[i] ?? []));
    expect(prompts[0]?.equals(prompts[1] as Buffer)).toBe(true);
    for (let round = 0; round < 5; round++) {
      for (const sequence of sequences.flat()) sequence.append([round, 1, 2]);
      const [wanted, found] = models.map((model, i) => model.step(sequences[i] ?? [], [undefined, graph][i]));
      expect(found?.equals(wanted as Buffer)).toBe(true);
      for (const sequence of sequences.flat()) sequence.truncate(sequence.length - (round % 3));
    }
    expect(graphed.contents().equals(eager.contents())).toBe(true);
  });

  test("holds appends alone, too", () => {
    using model = new Model(device, "fp32");
    const { cache, batch, layers } = model;
    const bytesPerToken = model.bytesPerToken(KV_HEADS);
    using graph = batch.captureDecode(() => {
      layers.forEach(({ k, v }, layer) => {
        const first = (memory: DeviceMemory) => memory.slice(0, MAX_SEQUENCES * bytesPerToken);
        cache.append(layer, batch, { keys: first(k), values: first(v) });
      });
    });
    using sequence = cache.createSequence([1]);
    for (let token = 0; token < 9; token++) {
      model.fill();
      batch.prepare([sequence]);
      graph.replay();
      batch.commit();
      const last = LAYERS - 1;
      const view = cache.layout.places[last];
      const block = sequence.blockTable(0, view?.part).at(-1) ?? 0;
      const at = block * (cache.layout.buffers[0]?.bytesPerBlock ?? 0) + (view?.offsetBytes ?? 0);
      const written = bytesOf(
        (cache.buffers[0] as DeviceMemory).slice(at + (token % 4) * bytesPerToken, bytesPerToken),
      );
      expect(written.equals(bytesOf((layers[last] as Inputs).k.slice(0, bytesPerToken)))).toBe(true);
      sequence.appendToken(token);
    }
    expect(sequence.writtenTokens).toBe(9);
  });

  test("is captured with the checks of contents on", () => {
    using model = new Model(device, "fp32");
    checkContents(true);
    try {
      model.captureDecode().dispose();
    } finally {
      checkContents(false);
    }
  });

  test("is not run for other steps than the captured one, nor without one", () => {
    using model = new Model(device, "fp32");
    using graph = model.captureDecode();
    expect(() => graph.replay()).toThrow(ShapeError);
    const sequence = model.cache.createSequence([1, 2, 3]);
    const before = model.contents();
    model.batch.prepare([sequence]);
    expect(() => graph.replay()).toThrow(/1 new tokens each, got 1 sequences with 3 new tokens/);
    expect(model.contents().equals(before)).toBe(true);
    model.batch.commit();
    sequence.appendToken(4);
    model.batch.prepare([sequence]);
    graph.replay();
    model.batch.commit();
    expect(() => graph.replay()).toThrow(ShapeError);
  });

  test("refuses lengths that do not fit, and the bookkeeping of a step inside", () => {
    using model = new Model(device, "fp32");
    const { batch } = model;
    for (const length of [0, 1.5, 13, Number.NaN]) {
      expect(() => batch.captureDecode(() => {}, length), String(length)).toThrow(InvalidOptionError);
    }
    const sequence = model.cache.createSequence([1]);
    const inside: [operation: string, run: () => unknown][] = [
      ["prepare", () => batch.prepare([sequence])],
      ["commit", () => batch.commit()],
      ["captureDecode", () => batch.captureDecode(() => {})],
    ];
    for (const [operation, run] of inside) {
      expect(() => batch.captureDecode(() => void run())).toThrow(CaptureError);
      expect(() => batch.captureDecode(() => void run())).toThrow(expect.objectContaining({ operation }));
    }
    const work = async (): Promise<void> => {};
    expect(() => batch.captureDecode(work as () => void)).toThrow(expect.objectContaining({ argument: "work" }));
    batch.prepare([sequence]);
    expect([batch.numSequences, batch.numTokens, batch.uniformQueryLength]).toEqual([1, 1, 1]);
  });

  test("is of no use once it, or memory that it uses, was disposed", () => {
    const model = new Model(device, "fp32");
    const graph = model.captureDecode();
    const other = model.captureDecode();
    const sequence = model.cache.createSequence([1]);
    model.batch.prepare([sequence]);
    graph.dispose();
    graph.dispose();
    expect(() => graph.replay()).toThrow(DisposedError);
    model[Symbol.dispose]();
    expect(() => other.replay()).toThrow(DisposedError);
    other.dispose();
  });
});

type Pair = [PagedSequence, PagedSequence];

/** A cache with layers of all tokens and one with a window, and inputs for steps. Equal ones get equal inputs. */
class Model implements Disposable {
  readonly cache: PagedKVCache;
  readonly batch: Batch;
  readonly layers: readonly Inputs[];
  readonly #device: Device;
  readonly #dtype: (typeof DTYPES)[number];
  readonly #random = new Random(3);
  readonly #frequencies: DeviceMemory;
  readonly #made: Disposable[] = [];

  constructor(device: Device, dtype: (typeof DTYPES)[number]) {
    this.#device = device;
    this.#dtype = dtype;
    this.cache = PagedKVCache.allocate(device, {
      numLayers: LAYERS,
      numKvHeads: KV_HEADS,
      headDim: HEAD_DIM,
      dtype,
      numBlocks: 96,
      tokensPerBlock: 4,
      layerGroups: [
        { name: "all", kind: "full", layers: [0, 2] },
        { name: "window", kind: "sliding", windowTokens: 6, layers: [1] },
      ],
    });
    this.batch = this.cache.createBatch({
      maxSequences: MAX_SEQUENCES,
      maxTokens: MAX_TOKENS,
      maxBlocksPerSequence: 12,
    });
    this.#made.push(this.cache, this.batch);
    this.#frequencies = this.#allocate((HEAD_DIM / 2) * 4);
    this.#frequencies.upload(inverseFrequencies(HEAD_DIM, 10_000));
    this.layers = Array.from({ length: LAYERS }, () => {
      const [q, k, v, output] = [HEADS, KV_HEADS, KV_HEADS, HEADS].map((heads) =>
        this.#allocate(MAX_TOKENS * this.bytesPerToken(heads)),
      ) as [DeviceMemory, DeviceMemory, DeviceMemory, DeviceMemory];
      return { q, k, v, output };
    });
  }

  bytesPerToken(heads: number): number {
    return heads * HEAD_DIM * (this.#dtype === "fp32" ? 4 : 2);
  }

  /** All layers' outputs for the new tokens of some sequences: by a graph, or else by calls. */
  step(sequences: readonly PagedSequence[], graph?: DecodeGraph): Buffer {
    this.fill();
    this.batch.prepare(sequences);
    const { numTokens } = this.batch;
    if (graph === undefined) this.#attend();
    else graph.replay();
    this.batch.commit();
    const bytes = numTokens * this.bytesPerToken(HEADS);
    const capturedBytes = MAX_SEQUENCES * (graph?.queryLength ?? 0) * this.bytesPerToken(HEADS);
    for (const { output } of graph === undefined ? [] : this.layers) {
      const rest = bytesOf(output.slice(bytes, capturedBytes - bytes));
      expect(rest.every((byte) => byte === 0)).toBe(true);
    }
    return Buffer.concat(this.layers.map(({ output }) => bytesOf(output.slice(0, bytes))));
  }

  captureDecode(queryLength?: number): DecodeGraph {
    return this.batch.captureDecode(() => this.#attend(), queryLength);
  }

  /** New inputs of all layers, and outputs that no step has written. */
  fill(): void {
    for (const { q, k, v, output } of this.layers) {
      for (const region of [q, k, v]) {
        const numElements = region.sizeBytes / (this.#dtype === "fp32" ? 4 : 2);
        const elements = Float64Array.from({ length: numElements }, () => this.#random.normal());
        region.upload(encode(elements, this.#dtype));
      }
      output.fill(0xff);
    }
  }

  contents(): Buffer {
    return Buffer.concat(this.cache.buffers.map(bytesOf));
  }

  [Symbol.dispose](): void {
    for (const each of this.#made) each[Symbol.dispose]();
  }

  #attend(): void {
    const { numTokens } = this.batch;
    const rotary = { style: "half-split", inverseFrequencies: this.#frequencies } as const;
    this.layers.forEach(({ q, k, v, output }, layer) => {
      const first = (memory: DeviceMemory, heads: number) => memory.slice(0, numTokens * this.bytesPerToken(heads));
      const tokens = { q: first(q, HEADS), k: first(k, KV_HEADS), v: first(v, KV_HEADS), output: first(output, HEADS) };
      this.cache.attend(layer, this.batch, { ...tokens, numQueryHeads: HEADS, rotary });
    });
  }

  #allocate(sizeBytes: number): DeviceMemory {
    const memory = this.#device.allocate(sizeBytes);
    this.#made.push(memory);
    return memory;
  }
}

/** [tokens, heads, head width] of one layer. */
interface Inputs {
  readonly q: DeviceMemory;
  readonly k: DeviceMemory;
  readonly v: DeviceMemory;
  readonly output: DeviceMemory;
}

function numbers(length: number, first = 0): number[] {
  return Array.from({ length }, (_, i) => first + i);
}
