import { type Device, type DeviceMemory, openDevice } from "@kv/device-memory";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { decode, encode, rounded, unitRoundoff } from "../../kernels/test/elements.ts";
import { contents } from "../../kernels/test/near.ts";
import { type AttendInput, KVCache, PagedKVCache } from "../src/index.ts";
import { type TransformersFixture, transformersFixtures } from "./transformers/fixture.ts";

const missing = inject("deviceMissing");
const DTYPES = ["fp32", "fp16", "bf16"] as const;
const LAYOUTS = ["contiguous", "paged"] as const;

type Dtype = (typeof DTYPES)[number];

/** A cache of one layer and one sequence: attends its next tokens. */
type Attend = (count: number, input: AttendInput) => void;

describe.skipIf(missing !== "")(`attend on ${inject("device")}, beside transformers ${missing}`, () => {
  let device: Device;
  beforeAll(() => {
    device = openDevice(inject("device"));
  });
  afterAll(() => device.dispose());

  const rows = transformersFixtures().flatMap((fixture) =>
    DTYPES.flatMap((dtype) => LAYOUTS.map((layout) => ({ ...fixture, dtype, layout }))),
  );

  test.each(rows)("$name, $dtype, $layout: a prompt, a prompt in pieces, token by token", (row) => {
    const { dtype, layout, numTokens } = row;
    for (const counts of [[numTokens], pieces(numTokens), Array.from({ length: numTokens }, () => 1)]) {
      using model = new FixtureModel(device, row, dtype);
      using cache = open(device, row, dtype, layout);
      for (const count of counts) cache.attend(count, model.next(count));
      expect(model.error(), `in steps of ${counts}`).toBeLessThan(allowed(dtype));
    }
  });
});

/**
 * Of the whole output, ‖found − wanted‖ / ‖wanted‖; transformers computes in fp32 on the numbers that we are given.
 *
 * fp32: sums of up to 128 products, rotation and exp differ by some units of 2^-24 of scores of about 2.
 * fp16, bf16: rotated queries and keys are rounded to the cache's type, by u at most. The errors are independent, so that
 * a score errs by 0.8 u times |q| |k| / sqrt(width), which is about 1, and the weights as much; the weights, on GPUs, and
 * the output are rounded too.
 */
function allowed(dtype: Dtype): number {
  return dtype === "fp32" ? 2 ** -20 : 2 * unitRoundoff(dtype);
}

/** Prefill beside decode: pieces of several tokens, and of one. */
function pieces(numTokens: number): number[] {
  const counts = [9, 1, 4, 1, 2];
  return [...counts, numTokens - counts.reduce((sum, count) => sum + count, 0)];
}

function open(
  device: Device,
  fixture: TransformersFixture,
  dtype: Dtype,
  layout: (typeof LAYOUTS)[number],
): Disposable & { attend: Attend } {
  const { numTokens, numKvHeads, headDim, windowTokens } = fixture;
  const shape = { numLayers: 1, numKvHeads, headDim, dtype };
  if (layout === "contiguous") {
    const cache = KVCache.allocate(device, { ...shape, maxContextLength: numTokens });
    const attend: Attend = (count, input) => {
      cache.attend(0, { ...input, windowTokens });
      cache.advancePosition(count);
    };
    return { attend, [Symbol.dispose]: () => cache.dispose() };
  }
  const group = { name: "window", kind: "sliding", windowTokens, layers: [0] } as const;
  const groups = windowTokens === 0 ? {} : { layerGroups: [group] };
  const cache = PagedKVCache.allocate(device, { ...shape, ...groups, numBlocks: 16, tokensPerBlock: 4 });
  const batch = cache.createBatch({ maxSequences: 1, maxTokens: numTokens, maxBlocksPerSequence: 16 });
  const sequence = cache.openSequence([]);
  const attend: Attend = (count, input) => {
    sequence.append(Array.from({ length: count }, (_, i) => i));
    batch.prepare([sequence]);
    cache.attend(0, batch, input);
    batch.commit();
  };
  const dispose = (): void => {
    for (const each of [sequence, batch, cache]) each[Symbol.dispose]();
  };
  return { attend, [Symbol.dispose]: dispose };
}

/** A fixture's tokens in memory of a device, step by step, and what became of them. */
class FixtureModel implements Disposable {
  readonly #device: Device;
  readonly #fixture: TransformersFixture;
  readonly #dtype: Dtype;
  readonly #memories: DeviceMemory[] = [];
  readonly #outputs: DeviceMemory[] = [];
  #numTokens = 0;

  constructor(device: Device, fixture: TransformersFixture, dtype: Dtype) {
    this.#device = device;
    this.#fixture = fixture;
    this.#dtype = dtype;
  }

  next(count: number): AttendInput {
    const { numTokens, numQueryHeads, scaling, softmaxScale, inverseFrequencies } = this.#fixture;
    const part = (numbers: Float32Array): Uint8Array => {
      const perToken = numbers.length / numTokens;
      const taken = numbers.subarray(this.#numTokens * perToken, (this.#numTokens + count) * perToken);
      return encode(
        Float64Array.from(taken, (each) => rounded(each, this.#dtype)),
        this.#dtype,
      );
    };
    const q = this.#upload(part(this.#fixture.q));
    const [k, v] = [this.#upload(part(this.#fixture.k)), this.#upload(part(this.#fixture.v))];
    const output = this.#upload(new Uint8Array(q.sizeBytes).fill(0xff));
    this.#outputs.push(output);
    this.#numTokens += count;
    const frequencies = this.#upload(inverseFrequencies);
    const rotary = { style: "half-split", inverseFrequencies: frequencies, scaling } as const;
    return { q, k, v, output, numQueryHeads, softmaxScale, rotary };
  }

  /** Of everything that was attended, beside the fixture. */
  error(): number {
    const found = this.#outputs.flatMap((output) => [...decode(contents(output), this.#dtype)]);
    const wanted = this.#fixture.output;
    expect(found).toHaveLength(wanted.length);
    return norm(found.map((each, i) => each - (wanted[i] ?? 0))) / norm([...wanted]);
  }

  [Symbol.dispose](): void {
    for (const memory of this.#memories) memory.dispose();
  }

  #upload(bytes: ArrayBufferView): DeviceMemory {
    const memory = this.#device.allocate(bytes.byteLength);
    memory.upload(bytes);
    this.#memories.push(memory);
    return memory;
  }
}

function norm(numbers: readonly number[]): number {
  return Math.sqrt(numbers.reduce((sum, each) => sum + each * each, 0));
}
