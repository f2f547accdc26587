import { type Device, type DeviceMemory, MemoryRegion } from "@kv/device-memory";
import type { RotaryEmbedding } from "@kv/kernels";
import { expect } from "vitest";
import { allowedError, attend, seenBy } from "../../kernels/test/attention-oracle.ts";
import { decode, encode, rounded, unitRoundoff } from "../../kernels/test/elements.ts";
import { contents, requireNear } from "../../kernels/test/near.ts";
import { Random } from "../../kernels/test/random.ts";
import { inverseFrequencies, rotate } from "../../kernels/test/rotary-oracle.ts";
import type { AttendInput } from "../src/index.ts";

/** Heads of one layer, as in a model. */
export interface AttendShape {
  readonly dtype: "fp32" | "fp16" | "bf16";
  readonly numQueryHeads: number;
  readonly numKvHeads: number;
  readonly headDim: number;
  readonly windowTokens: number;
}

/** A sequence as the oracle keeps it, by token and head: keys as they are in a cache, rotated. */
export interface OracleSequence {
  readonly keys: Float64Array[][];
  readonly values: Float64Array[][];
}

/** New tokens of one layer on a device, and the attention that an oracle in float64 gives them. */
export class AttendModel implements Disposable {
  readonly rotary: RotaryEmbedding;
  readonly #device: Device;
  readonly #shape: AttendShape;
  readonly #random = new Random(11);
  readonly #frequencies: Float32Array;
  readonly #memories: DeviceMemory[] = [];

  constructor(device: Device, shape: AttendShape) {
    this.#device = device;
    this.#shape = shape;
    this.#frequencies = inverseFrequencies(shape.headDim, 500_000);
    this.rotary = { style: "half-split", inverseFrequencies: this.upload(this.#frequencies) };
  }

  /** New tokens of sequences, behind those that they have; returns the input and a check of what became of it. */
  step(tokens: readonly { readonly sequence: OracleSequence; readonly count: number }[]): AttendStep {
    const { dtype, numQueryHeads, numKvHeads, headDim } = this.#shape;
    const numTokens = tokens.reduce((sum, { count }) => sum + count, 0);
    const [q, k, v] = [numQueryHeads, numKvHeads, numKvHeads].map((heads) => this.#heads(numTokens, heads));
    const queries = q as Float64Array[][];
    const checks: (() => void)[] = [];
    let output: DeviceMemory | undefined;
    let row = 0;
    for (const { sequence, count } of tokens) {
      const before = sequence.keys.length;
      for (let i = 0; i < count; i++) {
        const position = before + i;
        sequence.keys.push((k?.[row + i] ?? []).map((head) => this.#rotated(head, position)));
        sequence.values.push(v?.[row + i] ?? []);
      }
      const [firstRow, length] = [row, before + count];
      const rotated = queries
        .slice(row, row + count)
        .map((heads, i) => heads.map((head) => this.#rotated(head, before + i)));
      checks.push(() => {
        const found = decode(contents(output as DeviceMemory), dtype);
        rotated.forEach((heads, i) => {
          heads.forEach((query, head) => {
            const start = ((firstRow + i) * numQueryHeads + head) * headDim;
            this.#checkRow(found.subarray(start, start + headDim), sequence, { query, head, token: i, count, length });
          });
        });
      });
      row += count;
    }
    const region = (heads: Float64Array[][] | undefined): DeviceMemory =>
      this.upload(encode(Float64Array.from((heads ?? []).flat().flatMap((head) => [...head])), dtype));
    output = this.upload(new Uint8Array(numTokens * numQueryHeads * headDim * (dtype === "fp32" ? 4 : 2)).fill(0xff));
    return {
      input: { q: region(q), k: region(k), v: region(v), output, numQueryHeads, rotary: this.rotary },
      check: () => {
        for (const check of checks) check();
      },
    };
  }

  upload(bytes: ArrayBufferView): DeviceMemory {
    const memory = this.#device.allocate(bytes.byteLength);
    memory.upload(bytes);
    this.#memories.push(memory);
    return memory;
  }

  [Symbol.dispose](): void {
    for (const memory of this.#memories) memory.dispose();
  }

  /**
   * As for the kernels; and a rotated element can be rounded to its other neighbour than the oracle's: the logits may
   * then differ by some units in the last place of single products.
   */
  #checkRow(
    found: Float64Array,
    sequence: OracleSequence,
    row: { query: Float64Array; head: number; token: number; count: number; length: number },
  ): void {
    const { numQueryHeads, numKvHeads, headDim, windowTokens, dtype } = this.#shape;
    const kvHead = Math.floor((row.head * numKvHeads) / numQueryHeads);
    const answer = attend({
      query: row.query,
      keys: sequence.keys.slice(0, row.length).map((heads) => heads[kvHead] ?? new Float64Array()),
      values: sequence.values.slice(0, row.length).map((heads) => heads[kvHead] ?? new Float64Array()),
      valueDim: headDim,
      seen: seenBy(row.length, row.count, row.token, windowTokens, undefined),
      position: row.length - row.count + row.token,
      softmaxScale: 1 / Math.sqrt(headDim),
      softCap: 0,
      alibiSlope: 0,
      sink: Number.NEGATIVE_INFINITY,
    });
    const roundoff = unitRoundoff(dtype);
    const allowed = allowedError(answer, headDim, this.#device.kind === "host" ? 0 : roundoff, roundoff);
    const ofRotation = answer.greatestValue * (2 ** -17 * answer.greatestScore + 2 * roundoff);
    for (const [i, wanted] of answer.output.entries()) {
      requireNear(
        `head ${row.head} of token ${row.token}, element ${i}`,
        found[i],
        wanted,
        allowed.output + ofRotation,
      );
    }
  }

  #rotated(head: Float64Array, position: number): Float64Array {
    const angles = Array.from(this.#frequencies, (frequency) => position * frequency);
    return rotate(head, "half-split", head.length, angles).map((each) => rounded(each, this.#shape.dtype));
  }

  #heads(numTokens: number, numHeads: number): Float64Array[][] {
    const { dtype, headDim } = this.#shape;
    const head = (): Float64Array =>
      Float64Array.from({ length: headDim }, () => rounded(this.#random.normal(), dtype));
    return Array.from({ length: numTokens }, () => Array.from({ length: numHeads }, head));
  }
}

export interface AttendStep {
  readonly input: AttendInput & { readonly output: DeviceMemory };
  check(): void;
}

/** Bytes of memory, to see that nothing was written. */
export function bytesOf(region: MemoryRegion): Buffer {
  expect(region).toBeInstanceOf(MemoryRegion);
  return Buffer.from(contents(region));
}
