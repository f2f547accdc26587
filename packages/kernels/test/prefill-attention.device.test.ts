import { type Device, type DeviceMemory, openDevice } from "@kv/device-memory";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { type PrefillAttentionInput, prefillAttention, ShapeError } from "../src/index.ts";
import { AttentionBatch } from "./attention-batch.ts";
import { attentionCase, type PrefillCase, prefillCases } from "./attention-cases.ts";
import { allowedError, attend, seenBy } from "./attention-oracle.ts";
import { isSmall } from "./cases.ts";
import { decode, encode, unitRoundoff } from "./elements.ts";
import { contents, requireNear } from "./near.ts";

const missing = inject("deviceMissing");

describe.skipIf(missing !== "")(`prefill attention on ${inject("device")} ${missing}`, () => {
  let device: Device;
  beforeAll(() => {
    device = openDevice(inject("device"));
  });
  afterAll(() => device.dispose());

  test.each(prefillCases())("is what the oracle says: $name", (testCase) => {
    using batch = new PrefillBatch(device, testCase);
    const found = batch.run();
    batch.check(found);
    expect(batch.run()).toEqual(found);
  });

  test.skipIf(isSmall)("a sequence's bits do not depend on the batch", () => {
    const testCase = { ...attentionCase({ lengths: [600, 70, 5, 333] }), queryLengths: [600, 20, 5, 100] };
    using batch = new PrefillBatch(device, testCase);
    const all = batch.run();
    testCase.lengths.forEach((_, s) => {
      const alone = batch.run(batch.part(s));
      expect(Buffer.from(alone.output).equals(batch.rowsOf(all.output, s))).toBe(true);
    });
  });

  test.skipIf(isSmall)("the bits of a token do not depend on how many before it were prefilled earlier", () => {
    using fresh = new PrefillBatch(device, { ...attentionCase({ lengths: [700] }), queryLengths: [700] });
    const whole = fresh.run();
    for (const reused of [1, 15, 16, 37, 256, 500, 699]) {
      const after = fresh.run(fresh.part(0, reused));
      const bytesPerToken = whole.output.length / 700;
      expect(Buffer.from(after.output).equals(whole.output.subarray(reused * bytesPerToken))).toBe(true);
    }
  });

  test("takes no tokens, of sequences and of none", () => {
    using batch = new PrefillBatch(device, { ...attentionCase({ lengths: [40, 0] }), queryLengths: [10, 0] });
    const { output, logSumExp, ...input } = batch.input();
    const none = { query: output.slice(0, 0), output: output.slice(0, 0), logSumExp: logSumExp.slice(0, 0) };
    const offsets = batch.cache.upload(Int32Array.of(0, 0, 0));
    prefillAttention(batch.cache.view, { ...input, ...none, queryOffsets: offsets });
    const { sequenceLengths, blockTables, ...others } = input;
    const noSequence = { sequenceLengths: offsets.slice(0, 0), blockTables: offsets.slice(0, 0) };
    prefillAttention(batch.cache.view, { ...others, ...none, ...noSequence, queryOffsets: offsets.slice(0, 4) });
    expect(contents(output).every((byte) => byte === 0xff)).toBe(true);
  });

  test("leaves rows of no sequence as they are, and offsets past the end count as the end", () => {
    using batch = new PrefillBatch(device, { ...attentionCase({ lengths: [40, 50] }), queryLengths: [10, 20] });
    const wanted = batch.run();
    const rest = batch.run({ queryOffsets: batch.cache.upload(Int32Array.of(0, 10, 10)) });
    const bytesPerToken = wanted.output.length / 30;
    expect(
      Buffer.from(rest.output.subarray(0, 10 * bytesPerToken)).equals(wanted.output.subarray(0, 10 * bytesPerToken)),
    ).toBe(true);
    expect(rest.output.subarray(10 * bytesPerToken).every((byte) => byte === 0xff)).toBe(true);
    const clamped = batch.run({ queryOffsets: batch.cache.upload(Int32Array.of(-7, 10, 2 ** 31 - 1)) });
    expect(Buffer.from(clamped.output).equals(wanted.output)).toBe(true);
  });

  test("refuses what does not fit, by its name, and writes nothing", () => {
    using batch = new PrefillBatch(device, { ...attentionCase({ lengths: [20, 30] }), queryLengths: [5, 6] });
    const input = batch.input();
    const small = batch.cache.allocate(2);
    const refused = (changes: Partial<PrefillAttentionInput>): unknown => {
      try {
        prefillAttention(batch.cache.view, { ...input, ...changes });
      } catch (error) {
        return error;
      }
      return undefined;
    };
    for (const name of [
      "query",
      "output",
      "logSumExp",
      "sequenceLengths",
      "blockTables",
      "queryOffsets",
      "sinks",
    ] as const) {
      expect(refused({ [name]: small }), name).toBeInstanceOf(ShapeError);
      expect(refused({ [name]: small }), name).toMatchObject({ argument: name });
    }
    expect(refused({ numQueryHeads: 7 })).toMatchObject({ argument: "numQueryHeads" });
    expect(refused({ windowTokens: -1 })).toMatchObject({ argument: "windowTokens" });
    expect(refused({ output: input.query })).toMatchObject({ argument: "output" });
    expect(contents(input.output).every((byte) => byte === 0xff)).toBe(true);
  });
});

interface Results {
  readonly output: Uint8Array;
  readonly logSumExp: Uint8Array;
}

/** Prompts on a device, and what the oracle says of them. */
class PrefillBatch implements Disposable {
  readonly cache: AttentionBatch;
  readonly #case: PrefillCase;
  readonly #queries: Float64Array;
  readonly #offsets: readonly number[];

  constructor(device: Device, testCase: PrefillCase) {
    this.#case = testCase;
    this.cache = new AttentionBatch(device, testCase);
    this.#offsets = [0];
    for (const length of testCase.queryLengths)
      this.#offsets = [...this.#offsets, (this.#offsets.at(-1) ?? 0) + length];
    const numElements = this.#numTokens * this.cache.numQueryHeads * testCase.keyDim;
    this.#queries = this.cache.numbers(numElements, testCase.queryDtype);
  }

  get #numTokens(): number {
    return this.#offsets.at(-1) ?? 0;
  }

  input(): PrefillAttentionInput & { output: DeviceMemory; logSumExp: DeviceMemory } {
    const { cache } = this;
    const { valueDim, queryDtype, outputDtype } = this.#case;
    const numRows = this.#numTokens * cache.numQueryHeads;
    const { alibiSlopes: _, ...options } = cache.options();
    return {
      ...options,
      query: cache.upload(encode(this.#queries, queryDtype)),
      output: cache.allocate(numRows * valueDim * (outputDtype === "fp32" ? 4 : 2)),
      logSumExp: cache.allocate(4 * numRows),
      queryOffsets: cache.upload(Int32Array.from(this.#offsets)),
      sequenceLengths: cache.lengths,
      ...(cache.tables === undefined ? {} : { blockTables: cache.tables }),
    };
  }

  run(changes: Partial<ReturnType<PrefillBatch["input"]>> = {}): Results {
    const input = { ...this.input(), ...changes };
    prefillAttention(this.cache.view, input);
    return { output: contents(input.output), logSumExp: contents(input.logSumExp) };
  }

  /** One sequence of a paged case in a batch of its own, its first query tokens prefilled earlier. */
  part(sequence: number, reused = 0): Partial<ReturnType<PrefillBatch["input"]>> {
    const { cache } = this;
    const all = this.input();
    const numTokens = (this.#case.queryLengths[sequence] ?? 0) - reused;
    const rows = (memory: DeviceMemory): DeviceMemory => {
      const bytesPerToken = memory.sizeBytes / this.#numTokens;
      const first = (this.#offsets[sequence] ?? 0) + reused;
      return cache.upload(contents(memory.slice(first * bytesPerToken, numTokens * bytesPerToken)));
    };
    const perSequence = (memory: DeviceMemory): DeviceMemory => {
      const sizeBytes = memory.sizeBytes / this.#case.lengths.length;
      return cache.upload(contents(memory.slice(sequence * sizeBytes, sizeBytes)));
    };
    return {
      query: rows(all.query as DeviceMemory),
      output: rows(all.output),
      logSumExp: rows(all.logSumExp),
      queryOffsets: cache.upload(Int32Array.of(0, numTokens)),
      sequenceLengths: perSequence(cache.lengths),
      blockTables: perSequence(cache.tables as DeviceMemory),
    };
  }

  rowsOf(output: Uint8Array, sequence: number): Uint8Array {
    const bytesPerToken = output.length / this.#numTokens;
    const [begin = 0, end = 0] = this.#offsets.slice(sequence, sequence + 2);
    return output.subarray(begin * bytesPerToken, end * bytesPerToken);
  }

  check(found: Results): void {
    const { keyDim, valueDim, lengths, queryLengths, windowTokens, dtype, outputDtype } = this.#case;
    const { numQueryHeads } = this.cache;
    const output = decode(found.output, outputDtype);
    const logSumExps = decode(found.logSumExp, "fp32");
    const weightRoundoff = this.cache.device.kind === "host" ? 0 : unitRoundoff(dtype);
    for (const [s, length] of lengths.entries()) {
      const queryLength = queryLengths[s] ?? 0;
      for (let i = 0; i < queryLength * numQueryHeads; i++) {
        const token = Math.floor(i / numQueryHeads);
        const row = (this.#offsets[s] ?? 0) * numQueryHeads + i;
        const query = this.#queries.subarray(row * keyDim, (row + 1) * keyDim);
        const question = this.cache.question(s, i % numQueryHeads, query);
        const seen = seenBy(length, queryLength, token, windowTokens, undefined);
        const answer = attend({ ...question, seen, alibiSlope: 0, position: length - queryLength + token });
        const allowed = allowedError(answer, keyDim, weightRoundoff, unitRoundoff(outputDtype));
        requireNear(`row ${row}: log-sum-exp`, logSumExps[row], answer.logSumExp, allowed.logSumExp);
        for (const [j, wanted] of answer.output.entries()) {
          requireNear(`row ${row}, element ${j}`, output[row * valueDim + j], wanted, allowed.output);
        }
      }
    }
  }

  [Symbol.dispose](): void {
    this.cache[Symbol.dispose]();
  }
}
