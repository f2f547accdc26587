import { type Device, type DeviceMemory, DisposedError, InvalidArgumentError, openDevice } from "@kv/device-memory";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { type DecodeAttentionInput, DtypeError, decodeAttention, KvView, ShapeError } from "../src/index.ts";
import { AttentionBatch } from "./attention-batch.ts";
import { type AttentionCase, attentionCase, decodeCases } from "./attention-cases.ts";
import { type AttentionAnswer, allowedError, attend, seenBy } from "./attention-oracle.ts";
import { isSmall } from "./cases.ts";
import { decode, encode, unitRoundoff } from "./elements.ts";
import { contents, requireNear } from "./near.ts";

const missing = inject("deviceMissing");
const HOST_VARIANTS = ["fastest", "reference", "portable", "avx2", "avx512"] as const;

describe.skipIf(missing !== "")(`decode attention on ${inject("device")} ${missing}`, () => {
  let device: Device;
  beforeAll(() => {
    device = openDevice(inject("device"));
  });
  afterAll(() => device.dispose());

  test.each(decodeCases())("is what the oracle says: $name", (testCase) => {
    using batch = new DecodeBatch(device, testCase);
    const found = batch.run();
    batch.check(found);
    // The same bits again.
    const again = batch.run();
    expect(Buffer.from(again.output).equals(found.output)).toBe(true);
    expect(Buffer.from(again.logSumExp).equals(found.logSumExp)).toBe(true);
    if (device.kind === "cuda") batch.check(batch.run({ batchInvariant: true }));
  });

  test.skipIf(isSmall).each(independentCases())("a sequence's bits do not depend on the batch: $name", (testCase) => {
    using batch = new DecodeBatch(device, testCase);
    const options = { batchInvariant: true };
    const all = batch.run(options);
    testCase.lengths.forEach((_, sequence) => {
      const alone = batch.run(options, sequence);
      expect(Buffer.from(alone.output).equals(batch.partOf(all.output, sequence))).toBe(true);
      expect(Buffer.from(alone.logSumExp).equals(batch.partOf(all.logSumExp, sequence))).toBe(true);
    });
  });

  test("needs no log-sum-exp, and takes one length for all", () => {
    using batch = new DecodeBatch(device, attentionCase({ lengths: [70, 70, 70] }));
    const wanted = batch.run();
    const { logSumExp: _, ...input } = batch.input();
    decodeAttention(batch.cache.view, { ...input, sequenceLengths: 70 });
    expect(Buffer.from(contents(input.output)).equals(wanted.output)).toBe(true);
  });

  test("a length past the room for it counts as that room, and a negative one as none", () => {
    using batch = new DecodeBatch(device, attentionCase({ layout: "contiguous", lengths: [20, 23, 0] }));
    const { view } = batch.cache;
    const { input } = batch;
    const wanted = batch.run();
    const full = { ...input(), sequenceLengths: batch.cache.upload(Int32Array.of(20, 23, -5)) };
    decodeAttention(view, full);
    expect(Buffer.from(contents(full.output)).equals(wanted.output)).toBe(true);
    // Room for 26 tokens, of which the last three are poison: not reached, or the whole row is.
    const tooLong = { ...input(), sequenceLengths: batch.cache.upload(Int32Array.of(20, 2 ** 31 - 1, -(2 ** 31))) };
    decodeAttention(view, tooLong);
    const rows = decode(contents(tooLong.output), "fp16");
    expect(rows.subarray(rows.length / 3, (2 * rows.length) / 3).every((each) => Number.isNaN(each))).toBe(true);
    expect(rows.subarray((2 * rows.length) / 3).every((each) => each === 0)).toBe(true);
  });

  test("refuses what does not fit, by its name, and writes nothing", () => {
    using batch = new DecodeBatch(device, attentionCase({ lengths: [20, 30], queryLength: 2 }));
    const input = batch.input();
    const small = batch.cache.allocate(4);
    const refused = (changes: Partial<DecodeAttentionInput>): unknown => {
      try {
        decodeAttention(batch.cache.view, { ...input, ...changes });
      } catch (error) {
        return error;
      }
      return undefined;
    };
    for (const name of ["query", "output", "logSumExp", "sequenceLengths", "blockTables"] as const) {
      expect(refused({ [name]: small }), name).toMatchObject({ argument: name });
    }
    for (const name of ["sinks", "alibiSlopes", "queryMasks"] as const) {
      expect(refused({ [name]: small }), name).toBeInstanceOf(ShapeError);
      const unaligned = batch.cache.allocate(100).slice(2, name === "queryMasks" ? 16 : 32);
      expect(refused({ [name]: unaligned }), name).toMatchObject({ argument: name, code: "INVALID_ARGUMENT" });
    }
    const numbers: [keyof DecodeAttentionInput, readonly number[]][] = [
      ["numQueryHeads", [0, -8, 1.5, Number.NaN, 2 ** 40]],
      ["queryLength", [0, 17, 2.5, -1]],
      ["windowTokens", [-1, 0.5, 2 ** 31]],
      ["softCap", [-1, Number.NaN, Number.POSITIVE_INFINITY]],
      ["softmaxScale", [Number.NaN, Number.POSITIVE_INFINITY, 1e39]],
      ["sequenceLengths", [-1, 0.5, 65, 2 ** 40]],
    ];
    for (const [name, values] of numbers) {
      for (const value of values)
        expect(refused({ [name]: value }), `${name} ${value}`).toMatchObject({ argument: name });
    }
    expect(refused({ output: input.query })).toMatchObject({ argument: "output" });
    expect(refused({ hostVariant: "quick" as never })).toMatchObject({ argument: "hostVariant" });
    expect(refused({ batchInvariant: 1 as never })).toMatchObject({ argument: "batchInvariant" });
    expect(refused({ outputDtype: "fp8_e4m3" as never })).toBeInstanceOf(DtypeError);
    expect(contents(input.output).every((byte) => byte === 0xff)).toBe(true);
  });

  test("refuses heads that do not divide, a batch without tables, and a cache of bytes", () => {
    using batch = new DecodeBatch(device, attentionCase({ numKvHeads: 3, queryHeadsPerKvHead: 2, lengths: [9, 9] }));
    const { blockTables: _, ...input } = batch.input();
    expect(() => decodeAttention(batch.cache.view, { ...batch.input(), numQueryHeads: 4 })).toThrow(/numQueryHeads/);
    const many = new DecodeBatch(device, attentionCase({ lengths: Array.from({ length: 40 }, () => 0) }));
    const { blockTables: __, ...manyInput } = many.input();
    expect(() => decodeAttention(many.cache.view, manyInput)).toThrow(/batch/);
    const plane = { memory: batch.cache.allocate(64), blockStrideBytes: 16, tokenStrideBytes: 16, headStrideBytes: 16 };
    const of = { ...plane, headDim: 16 };
    const bytes = new KvView({
      keys: of,
      values: of,
      dtype: "fp8_e4m3",
      numKvHeads: 1,
      tokensPerBlock: 1,
      numBlocks: 4,
    });
    expect(() => decodeAttention(bytes, input)).toThrow(DtypeError);
    const output = of.memory.slice(0, 32);
    const half = new KvView({
      keys: { ...of, headDim: 8 },
      values: { ...of, headDim: 8 },
      dtype: "fp16",
      numKvHeads: 1,
      tokensPerBlock: 1,
      numBlocks: 4,
    });
    const query = batch.cache.allocate(32);
    expect(() => decodeAttention(half, { query, output, numQueryHeads: 2, sequenceLengths: 1 })).toThrow(/overlaps/);
    many[Symbol.dispose]();
    expect(() => decodeAttention(many.cache.view, manyInput)).toThrow(DisposedError);
  });

  // Not a test elsewhere: it would count as skipped on every GPU.
  if (inject("device") === "host") {
    test("every way of the host's is what the oracle says", () => {
      using batch = new DecodeBatch(device, attentionCase({ queryLength: 3, hasSinks: true, lengths: [500, 3, 70] }));
      const runs = HOST_VARIANTS.map((hostVariant) => {
        try {
          const found = batch.run({ hostVariant });
          batch.check(found);
          return Buffer.from(found.output).toString("hex");
        } catch (error) {
          if (error instanceof InvalidArgumentError && error.argument === "hostVariant") return undefined;
          throw error;
        }
      });
      expect(runs.slice(0, 3).every((each) => each !== undefined)).toBe(true);
    });
  }
});

interface Results {
  readonly output: Uint8Array;
  readonly logSumExp: Uint8Array;
}

/** A batch on a device with queries, and what the oracle says of it. */
class DecodeBatch implements Disposable {
  readonly cache: AttentionBatch;
  readonly #queries: Float64Array;
  readonly #masks: readonly number[];

  constructor(device: Device, testCase: AttentionCase) {
    this.cache = new AttentionBatch(device, testCase);
    this.#queries = this.cache.numbers(this.#numRows * testCase.keyDim, testCase.queryDtype);
    const numMasks = testCase.lengths.length * testCase.queryLength;
    this.#masks = Array.from({ length: numMasks }, () => this.cache.random.below(2 ** 16));
  }

  get #rowsPerSequence(): number {
    return this.cache.testCase.queryLength * this.cache.numQueryHeads;
  }

  get #numRows(): number {
    return this.cache.testCase.lengths.length * this.#rowsPerSequence;
  }

  /** Everything in memory of its own, the results poisoned. */
  input = (): DecodeAttentionInput & { output: DeviceMemory; logSumExp: DeviceMemory } => {
    const { cache } = this;
    const { valueDim, queryDtype, outputDtype, queryLength, hasMasks } = cache.testCase;
    return {
      ...cache.options(),
      query: cache.upload(encode(this.#queries, queryDtype)),
      output: cache.allocate(this.#numRows * valueDim * (outputDtype === "fp32" ? 4 : 2)),
      logSumExp: cache.allocate(4 * this.#numRows),
      queryLength,
      sequenceLengths: cache.lengths,
      ...(cache.tables === undefined ? {} : { blockTables: cache.tables }),
      ...(hasMasks ? { queryMasks: cache.upload(Int32Array.from(this.#masks)) } : {}),
    };
  };

  /** Of the whole batch, or of one sequence in a batch of its own. */
  run(changes: Partial<DecodeAttentionInput> = {}, sequence?: number): Results {
    const all = this.input();
    const input = sequence === undefined ? all : this.#alone(all, sequence);
    decodeAttention(this.#viewFor(sequence), { ...input, ...changes });
    return { output: contents(input.output), logSumExp: contents(input.logSumExp) };
  }

  partOf(bytes: Uint8Array, sequence: number): Uint8Array {
    const size = bytes.length / this.cache.testCase.lengths.length;
    return bytes.subarray(sequence * size, (sequence + 1) * size);
  }

  check(found: Results): void {
    const { testCase } = this.cache;
    const output = decode(found.output, testCase.outputDtype);
    const logSumExps = decode(found.logSumExp, "fp32");
    const weightRoundoff = this.cache.device.kind === "host" ? 0 : unitRoundoff(testCase.dtype);
    for (let row = 0; row < this.#numRows; row++) {
      const answer = this.#answer(row);
      const allowed = allowedError(answer, testCase.keyDim, weightRoundoff, unitRoundoff(testCase.outputDtype));
      requireNear(`row ${row}: log-sum-exp`, logSumExps[row], answer.logSumExp, allowed.logSumExp);
      answer.output.forEach((wanted, i) => {
        requireNear(`row ${row}, element ${i}`, output[row * testCase.valueDim + i], wanted, allowed.output);
      });
    }
  }

  [Symbol.dispose](): void {
    this.cache[Symbol.dispose]();
  }

  #answer(row: number): AttentionAnswer {
    const { testCase, numQueryHeads } = this.cache;
    const { queryLength, windowTokens, keyDim, hasMasks } = testCase;
    const sequence = Math.floor(row / this.#rowsPerSequence);
    const token = Math.floor(row / numQueryHeads) % queryLength;
    const length = testCase.lengths[sequence] ?? 0;
    const mask = hasMasks ? this.#masks[sequence * queryLength + token] : undefined;
    return attend({
      ...this.cache.question(sequence, row % numQueryHeads, this.#queries.subarray(row * keyDim, (row + 1) * keyDim)),
      seen: seenBy(length, queryLength, token, windowTokens, mask),
      position: length - queryLength + token,
    });
  }

  #alone(all: ReturnType<DecodeBatch["input"]>, sequence: number): ReturnType<DecodeBatch["input"]> {
    const part = (memory: DeviceMemory): DeviceMemory => this.cache.upload(this.partOf(contents(memory), sequence));
    const { blockTables, queryMasks, sequenceLengths, query } = all;
    return {
      ...all,
      query: part(query as DeviceMemory),
      output: this.cache.allocate(all.output.sizeBytes / this.cache.testCase.lengths.length),
      logSumExp: this.cache.allocate(all.logSumExp.sizeBytes / this.cache.testCase.lengths.length),
      sequenceLengths: part(sequenceLengths as DeviceMemory),
      ...(blockTables === undefined ? {} : { blockTables: part(blockTables as DeviceMemory) }),
      ...(queryMasks === undefined ? {} : { queryMasks: part(queryMasks as DeviceMemory) }),
    };
  }

  /** Without tables, sequence 0 of a batch is block 0. */
  #viewFor(sequence: number | undefined): KvView {
    const { cache } = this;
    if (sequence === undefined || cache.tables !== undefined) return cache.view;
    return cache.viewFromBlock(sequence);
  }
}

/** Batches of which some sequences are much longer than others. */
function independentCases(): AttentionCase[] {
  return [
    attentionCase({ lengths: [1, 3000, 17, 0, 700] }),
    attentionCase({ lengths: [40, 2000, 300], layout: "contiguous", queryLength: 3 }),
    attentionCase({ lengths: [2500, 16, 1000], queryLength: 4, hasMasks: true, windowTokens: 600, hasSinks: true }),
    attentionCase({
      lengths: Array.from({ length: 64 }, (_, i) => 37 * i),
      dtype: "bf16",
      queryDtype: "bf16",
      outputDtype: "bf16",
    }),
  ];
}
