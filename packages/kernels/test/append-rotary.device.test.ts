import { type Device, type DeviceMemory, InvalidArgumentError, OutOfBoundsError, openDevice } from "@kv/device-memory";
import type { AttentionDtype } from "@kv/native";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { type AppendInput, append, DtypeError, KvView, type RotaryInput, ShapeError } from "../src/index.ts";
import { isSmall, type KernelCase, packedStrides, wantedDtypes } from "./cases.ts";
import { decode, encode, poison, rounded, unitRoundoff } from "./elements.ts";
import { contents, requireNear } from "./near.ts";
import { Random } from "./random.ts";
import { inverseFrequencies, rotate } from "./rotary-oracle.ts";

const missing = inject("deviceMissing");

interface RotaryCase extends Omit<KernelCase, "dtype"> {
  readonly dtype: AttentionDtype;
  readonly queryDtype: AttentionDtype;
  readonly style: "half-split" | "interleaved";
  readonly width: number;
  readonly numQueryHeads: number;
  readonly scaling: number;
  readonly hasTable: boolean;
  readonly isInPlace: boolean;
  readonly numTokens: number;
  readonly firstPosition: number;
}

const BASE: Omit<RotaryCase, "name"> = {
  dtype: "bf16",
  queryDtype: "bf16",
  axisOrder: "NHD",
  numBlocks: 5,
  tokensPerBlock: 16,
  numKvHeads: 2,
  keyDim: 64,
  valueDim: 64,
  style: "half-split",
  width: 64,
  numQueryHeads: 6,
  scaling: 1,
  hasTable: false,
  isInPlace: true,
  numTokens: 37,
  firstPosition: 0,
};

type Changes = Partial<Omit<RotaryCase, "name">>;

const OF_EVERY_DTYPE: readonly Changes[] = [
  {},
  { style: "interleaved" },
  { keyDim: 128, valueDim: 128, width: 128, numKvHeads: 8, numQueryHeads: 32 },
  { keyDim: 128, valueDim: 64, width: 64, isInPlace: false },
  { hasTable: true, style: "interleaved", width: 32, isInPlace: false },
  { keyDim: 80, valueDim: 80, width: 20 },
  { keyDim: 80, valueDim: 80, width: 40, axisOrder: "HND", hasTable: true },
];

const OF_ONE_DTYPE: readonly Changes[] = [
  { axisOrder: "HND" },
  { keyDim: 33, valueDim: 7, width: 2, isInPlace: false },
  { keyDim: 33, valueDim: 7, width: 32, style: "interleaved" },
  { keyDim: 256, valueDim: 256, width: 256, numTokens: 1 },
  { queryDtype: "fp32" },
  { dtype: "fp32", queryDtype: "fp16", style: "interleaved", isInPlace: false },
  { dtype: "fp16", queryDtype: "bf16", width: 16 },
  { scaling: 1.25 },
  { firstPosition: 1_000_000, dtype: "fp32", queryDtype: "fp32" },
  { numQueryHeads: 0 },
  { numTokens: 512, numBlocks: 1, tokensPerBlock: 512 },
  { numTokens: 40, numBlocks: 60, tokensPerBlock: 1, numKvHeads: 1, numQueryHeads: 16 },
  { numTokens: 3000, numBlocks: 200, numKvHeads: 1, numQueryHeads: 1 },
];

function rotaryCases(): RotaryCase[] {
  const dtypes = (["fp16", "bf16", "fp32"] as const).filter((dtype) => wantedDtypes().includes(dtype));
  const changes = [
    ...dtypes.flatMap((dtype) => OF_EVERY_DTYPE.map((each) => ({ dtype, queryDtype: dtype, ...each }))),
    ...(dtypes.length === 0 || isSmall ? [] : OF_ONE_DTYPE),
  ];
  return changes.map((each) => {
    const name = Object.entries(each).map(([key, value]) => `${key} ${value}`);
    return { ...BASE, ...each, name: name.join(", ") };
  });
}

describe.skipIf(missing !== "")(`append with rotary embedding on ${inject("device")} ${missing}`, () => {
  let device: Device;
  beforeAll(() => {
    device = openDevice(inject("device"));
  });
  afterAll(() => device.dispose());

  test.each(rotaryCases())("is what the oracle says: $name", (testCase) => {
    using run = new RotaryRun(device, testCase);
    run.append();
    run.check();
  });

  test("counts positions and slots from a first one on", () => {
    using run = new RotaryRun(device, { ...BASE, name: "from the first on", firstPosition: 11 });
    run.slots = run.slots.map((_, i) => 7 + i);
    run.positions = run.positions.map((_, i) => 11 + i);
    run.append({ slots: 7 }, { positions: 11 });
    run.check();
  });

  test("leaves out tokens of a position that there is not", () => {
    using run = new RotaryRun(device, { ...BASE, name: "left out", hasTable: true });
    const numRows = run.positions.length;
    run.positions = run.positions.map((position, i) =>
      i === 4 ? -1 : i === 9 ? numRows : i === 12 ? 2 ** 31 - 1 : position,
    );
    run.append();
    run.check();
  });

  test("takes no tokens", () => {
    using run = new RotaryRun(device, { ...BASE, name: "none" });
    const before = contents(run.keys);
    const none = run.query.slice(0, 0);
    run.append({ keys: none, values: none, slots: none }, { positions: none, query: none });
    expect(Buffer.from(contents(run.keys)).equals(before)).toBe(true);
  });

  test("has the same bits in every run", () => {
    const found = [0, 1].map(() => {
      using run = new RotaryRun(device, { ...BASE, name: "twice" });
      run.append();
      return Buffer.concat([contents(run.keys), contents(run.values), contents(run.query)]);
    });
    expect(found[0]?.equals(found[1] ?? Buffer.alloc(0))).toBe(true);
  });

  test("refuses what does not fit, by its name, and writes nothing", () => {
    using run = new RotaryRun(device, { ...BASE, name: "refused" });
    const { input, rotary } = run;
    const before = contents(run.keys);
    const refused = (changes: Partial<RotaryInput>, others: Partial<AppendInput> = {}): unknown => {
      try {
        append(run.view, { ...input, ...others, rotary: { ...rotary, ...changes } });
      } catch (error) {
        return error;
      }
      return undefined;
    };
    const small = run.upload(new Uint8Array(2));
    const wrongSizes: [string, unknown][] = [
      ["positions", refused({ positions: small })],
      ["query", refused({ query: small })],
      ["rotatedQuery", refused({ rotatedQuery: small })],
      ["inverseFrequencies", refused({ embedding: { style: "half-split", inverseFrequencies: small } })],
      ["cosinesAndSines", refused({ embedding: { style: "half-split", cosinesAndSines: small } })],
      ["values", refused({}, { values: small })],
      ["slots", refused({}, { slots: small })],
    ];
    for (const [argument, error] of wrongSizes) {
      expect(error, argument).toBeInstanceOf(ShapeError);
      expect(error).toMatchObject({ argument });
    }
    for (const width of [0, 7, 66, -2, 2.5, Number.NaN]) {
      expect(refused({ embedding: { ...rotary.embedding, width } })).toMatchObject({ argument: "width" });
    }
    expect(refused({ embedding: { ...rotary.embedding, style: "both" as never } })).toMatchObject({
      argument: "style",
    });
    expect(refused({ rotatedQuery: input.keys })).toBeInstanceOf(ShapeError);
    expect(refused({ queryDtype: "fp8_e4m3" as never })).toBeInstanceOf(DtypeError);
    expect(refused({ positions: -1 })).toBeInstanceOf(InvalidArgumentError);
    expect(refused({ positions: 2 ** 31 })).toBeInstanceOf(OutOfBoundsError);
    expect(refused({}, { slots: run.view.numSlots })).toBeInstanceOf(OutOfBoundsError);
    const { query: _, ...withoutQuery } = rotary;
    expect(() => append(run.view, { ...input, rotary: { ...withoutQuery, rotatedQuery: run.query } })).toThrow(
      InvalidArgumentError,
    );
    const shifted = run.upload(new Uint8Array(2 * run.query.sizeBytes));
    const [one, other] = [0, 64].map((offset) => shifted.slice(offset, run.query.sizeBytes));
    expect(refused({ query: one as never, rotatedQuery: other as never })).toMatchObject({ argument: "rotatedQuery" });
    expect(Buffer.from(contents(run.keys)).equals(before)).toBe(true);
  });
});

/** One call on a device, and all that it is about beside it. */
class RotaryRun implements Disposable {
  readonly testCase: RotaryCase;
  readonly view: KvView;
  readonly keys: DeviceMemory;
  readonly values: DeviceMemory;
  readonly query: DeviceMemory;
  slots: number[];
  positions: number[];
  readonly #device: Device;
  readonly #memories: DeviceMemory[] = [];
  readonly #random = new Random(3);
  readonly #newKeys: Float64Array;
  readonly #newValues: Float64Array;
  readonly #queries: Float64Array;
  readonly #frequencies: Float32Array;
  readonly #rotated: DeviceMemory;

  constructor(device: Device, testCase: RotaryCase) {
    this.#device = device;
    this.testCase = testCase;
    const { numTokens, numKvHeads, keyDim, valueDim, numQueryHeads, dtype, queryDtype, width } = testCase;
    const keys = this.#plane(keyDim);
    const values = this.#plane(valueDim);
    this.keys = keys.memory;
    this.values = values.memory;
    this.view = new KvView({ ...testCase, keys, values });
    this.#newKeys = this.#numbers(numTokens * numKvHeads * keyDim, dtype);
    this.#newValues = this.#numbers(numTokens * numKvHeads * valueDim, dtype);
    this.#queries = this.#numbers(numTokens * numQueryHeads * keyDim, queryDtype);
    this.#frequencies = inverseFrequencies(width);
    const all = this.#random.shuffled(Array.from({ length: this.view.numSlots }, (_, i) => i));
    this.slots = all
      .slice(0, numTokens)
      .map((slot, i) => (i % 5 === 3 ? -1 : i % 11 === 7 ? this.view.numSlots : slot));
    this.positions = Array.from({ length: numTokens }, (_, i) => testCase.firstPosition + ((i * 17) % numTokens));
    this.query = this.upload(encode(this.#queries, queryDtype));
    this.#rotated = testCase.isInPlace ? this.query : this.upload(poison(this.query.sizeBytes, queryDtype));
  }

  get input(): AppendInput {
    const { dtype } = this.testCase;
    return {
      keys: this.upload(encode(this.#newKeys, dtype)),
      values: this.upload(encode(this.#newValues, dtype)),
      slots: this.upload(Int32Array.from(this.slots)),
    };
  }

  get rotary(): RotaryInput {
    const { style, width, scaling, hasTable, queryDtype, numQueryHeads, isInPlace } = this.testCase;
    const angles = hasTable
      ? { cosinesAndSines: this.upload(this.#table()) }
      : { inverseFrequencies: this.upload(this.#frequencies), scaling };
    return {
      embedding: { ...angles, style, ...(width === this.view.keyDim ? {} : { width }) },
      positions: this.upload(Int32Array.from(this.positions)),
      queryDtype,
      ...(numQueryHeads === 0 ? {} : { query: this.query, ...(isInPlace ? {} : { rotatedQuery: this.#rotated }) }),
    };
  }

  append(changes: Partial<AppendInput> = {}, rotaryChanges: Partial<RotaryInput> = {}): void {
    append(this.view, { ...this.input, ...changes, rotary: { ...this.rotary, ...rotaryChanges } });
  }

  check(): void {
    const { dtype, queryDtype, keyDim, valueDim, numKvHeads, numQueryHeads, numTokens, isInPlace } = this.testCase;
    const query = contents(this.#rotated);
    const foundQuery = decode(query, queryDtype);
    const isWritten = this.positions.map(
      (position) => position >= 0 && (!this.testCase.hasTable || position < numTokens),
    );
    for (let row = 0; row < numTokens * numQueryHeads; row++) {
      const token = Math.floor(row / numQueryHeads);
      const given = this.#queries.subarray(row * keyDim, (row + 1) * keyDim);
      const wanted = isWritten[token] ? this.#rotate(given, token) : isInPlace ? given : given.map(() => Number.NaN);
      this.#compare(
        `query row ${row}`,
        foundQuery.subarray(row * keyDim, (row + 1) * keyDim),
        wanted,
        given,
        queryDtype,
      );
    }
    const owners = new Map(this.slots.flatMap((slot, token) => (isWritten[token] ? [[slot, token] as const] : [])));
    const [keys, values] = [this.keys, this.values].map((memory) => decode(contents(memory), dtype));
    for (let slot = 0; slot < this.view.numSlots; slot++) {
      const token = owners.get(slot);
      for (let head = 0; head < numKvHeads; head++) {
        const key = this.#headOf(keys as Float64Array, slot, head, keyDim);
        const value = this.#headOf(values as Float64Array, slot, head, valueDim);
        if (token === undefined) {
          expect([...key, ...value].some(Number.isFinite), `slot ${slot}`).toBe(false);
          continue;
        }
        const row = token * numKvHeads + head;
        const given = this.#newKeys.subarray(row * keyDim, (row + 1) * keyDim);
        this.#compare(`slot ${slot}, head ${head}`, key, this.#rotate(given, token), given, dtype);
        expect(value).toEqual(this.#newValues.subarray(row * valueDim, (row + 1) * valueDim));
      }
    }
  }

  upload(bytes: ArrayBufferView): DeviceMemory {
    const memory = this.#device.allocate(bytes.byteLength === 0 ? 4 : bytes.byteLength);
    if (bytes.byteLength > 0) memory.upload(bytes);
    this.#memories.push(memory);
    return memory;
  }

  [Symbol.dispose](): void {
    for (const memory of this.#memories) memory.dispose();
  }

  #rotate(head: Float64Array, token: number): Float64Array {
    const { style, width, scaling } = this.testCase;
    return rotate(head, style, width, this.#angles(this.positions[token] ?? Number.NaN), scaling);
  }

  #angles(position: number): number[] {
    return Array.from(this.#frequencies, (frequency) => position * frequency);
  }

  /**
   * Cosines, sines, and their products are in fp32: angles err by at most 2^-22 of a turn's radians, so that a pair errs by
   * 2^-20 of its length at most; then the result is rounded to its type. What is not rotated has its bits.
   */
  #compare(what: string, found: Float64Array, wanted: Float64Array, given: Float64Array, dtype: AttentionDtype): void {
    const greatest = given.reduce((most, each) => Math.max(most, Math.abs(each)), 0) * this.testCase.scaling;
    for (const [i, each] of wanted.entries()) {
      if (Number.isNaN(each)) {
        expect(found[i], `${what}, element ${i}`).not.toSatisfy(Number.isFinite);
      } else {
        const allowed = i < this.testCase.width ? 1.5 * greatest * (2 ** -20 + unitRoundoff(dtype)) : 0;
        requireNear(`${what}, element ${i}`, found[i], each, allowed);
      }
    }
  }

  #table(): Float32Array {
    const { width, numTokens } = this.testCase;
    const table = new Float32Array(numTokens * width);
    for (let position = 0; position < numTokens; position++) {
      this.#angles(position).forEach((angle, i) => {
        table[position * width + i] = Math.cos(angle);
        table[position * width + width / 2 + i] = Math.sin(angle);
      });
    }
    return table;
  }

  #headOf(plane: Float64Array, slot: number, head: number, headDim: number): Float64Array {
    const { tokensPerBlock, numKvHeads, axisOrder } = this.testCase;
    const block = Math.floor(slot / tokensPerBlock);
    const token = slot % tokensPerBlock;
    const row = axisOrder === "NHD" ? token * numKvHeads + head : head * tokensPerBlock + token;
    const start = (block * tokensPerBlock * numKvHeads + row) * headDim;
    return plane.subarray(start, start + headDim);
  }

  #plane(headDim: number) {
    const { sizeBytes, headBytes: _, ...strides } = packedStrides(this.testCase, headDim);
    return { ...strides, memory: this.upload(poison(sizeBytes, this.testCase.dtype)), headDim };
  }

  #numbers(count: number, dtype: AttentionDtype): Float64Array {
    return Float64Array.from({ length: count }, () => rounded(this.#random.normal(), dtype));
  }
}
