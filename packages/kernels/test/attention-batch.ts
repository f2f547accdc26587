import type { KvDtype } from "@kv/config";
import type { Device, DeviceMemory, MemorySlice } from "@kv/device-memory";
import { type DecodeAttentionInput, KvView, type KvViewLayout, type PlaneLayout } from "../src/index.ts";
import type { AttentionCase } from "./attention-cases.ts";
import type { AttentionQuestion, Heads } from "./attention-oracle.ts";
import { packedStrides } from "./cases.ts";
import { encode, poison, rounded } from "./elements.ts";
import { Random } from "./random.ts";

/** One sequence as the oracle sees it. */
export interface Sequence {
  readonly keys: Heads;
  readonly values: Heads;
  readonly length: number;
}

/**
 * A cache on a device with sequences in it, and the same beside it. Whatever no sequence owns is poison, and entries of
 * block tables past a sequence's end name blocks that are poison, or none.
 */
export class AttentionBatch implements Disposable {
  readonly device: Device;
  readonly testCase: AttentionCase;
  readonly random: Random;
  readonly sequences: readonly Sequence[];
  readonly view: KvView;
  readonly #layout: KvViewLayout & { keys: Plane; values: Plane };
  readonly lengths: DeviceMemory;
  readonly tables: DeviceMemory | undefined;
  readonly sinks: Float64Array;
  readonly slopes: Float64Array;
  readonly #memories: DeviceMemory[] = [];

  constructor(device: Device, testCase: AttentionCase, seed = 1) {
    this.device = device;
    this.testCase = testCase;
    this.random = new Random(seed);
    const { lengths } = testCase;
    const places = placesOf(testCase, this.random);
    this.sequences = lengths.map((length) => ({
      length,
      keys: this.#heads(length, testCase.keyDim),
      values: this.#heads(length, testCase.valueDim),
    }));
    this.#layout = {
      ...testCase,
      ...places,
      keys: this.#plane(places, testCase.keyDim, ({ keys }) => keys),
      values: this.#plane(places, testCase.valueDim, ({ values }) => values),
    };
    this.view = new KvView(this.#layout);
    this.lengths = this.upload(Int32Array.from(lengths));
    this.tables = testCase.layout === "paged" ? this.upload(Int32Array.from(places.tables.flat())) : undefined;
    this.sinks = this.numbers(this.numQueryHeads, "fp32");
    this.slopes = this.numbers(this.numQueryHeads, "fp32").map((each) => rounded(each / 16, "fp32"));
  }

  get numQueryHeads(): number {
    return this.testCase.numKvHeads * this.testCase.queryHeadsPerKvHead;
  }

  /** The options of the case as arguments. */
  options(): Pick<
    DecodeAttentionInput,
    | "numQueryHeads"
    | "windowTokens"
    | "softCap"
    | "queryDtype"
    | "outputDtype"
    | "softmaxScale"
    | "sinks"
    | "alibiSlopes"
  > {
    const { windowTokens, softCap, softmaxScale, queryDtype, outputDtype, hasSinks, hasAlibi } = this.testCase;
    return {
      numQueryHeads: this.numQueryHeads,
      windowTokens,
      softCap,
      queryDtype,
      outputDtype,
      ...(softmaxScale === undefined ? {} : { softmaxScale }),
      ...(hasSinks ? { sinks: this.upload(encode(this.sinks, "fp32")) } : {}),
      ...(hasAlibi ? { alibiSlopes: this.upload(encode(this.slopes, "fp32")) } : {}),
    };
  }

  /** What a row of the result answers, but for what it sees and its position. */
  question(sequence: number, queryHead: number, query: Float64Array): Omit<AttentionQuestion, "seen" | "position"> {
    const { testCase } = this;
    const head = Math.floor(queryHead / testCase.queryHeadsPerKvHead);
    const { keys, values } = this.sequences[sequence] ?? { keys: [], values: [] };
    return {
      query,
      keys: keys[head] ?? [],
      values: values[head] ?? [],
      valueDim: testCase.valueDim,
      softmaxScale: testCase.softmaxScale ?? 1 / Math.sqrt(testCase.keyDim),
      softCap: testCase.softCap,
      alibiSlope: testCase.hasAlibi ? (this.slopes[queryHead] ?? Number.NaN) : 0,
      sink: testCase.hasSinks ? (this.sinks[queryHead] ?? Number.NaN) : Number.NEGATIVE_INFINITY,
    };
  }

  /** The cache without its first blocks. */
  viewFromBlock(block: number): KvView {
    const from = (plane: Plane): Plane => {
      const offsetBytes = block * plane.blockStrideBytes;
      return { ...plane, memory: plane.memory.slice(offsetBytes, plane.memory.sizeBytes - offsetBytes) };
    };
    const { keys, values, numBlocks } = this.#layout;
    return new KvView({ ...this.#layout, keys: from(keys), values: from(values), numBlocks: numBlocks - block });
  }

  /** Random numbers that a type has. */
  numbers(count: number, dtype: KvDtype): Float64Array {
    return Float64Array.from({ length: count }, () => rounded(this.random.normal(), dtype));
  }

  upload(bytes: ArrayBufferView): DeviceMemory {
    const memory = this.allocate(bytes.byteLength);
    memory.upload(bytes);
    return memory;
  }

  /** Poisoned memory, disposed with this. */
  allocate(sizeBytes: number): DeviceMemory {
    const memory = this.device.allocate(sizeBytes);
    memory.fill(0xff);
    this.#memories.push(memory);
    return memory;
  }

  [Symbol.dispose](): void {
    for (const memory of this.#memories) memory.dispose();
  }

  #heads(length: number, width: number): Heads {
    return Array.from({ length: this.testCase.numKvHeads }, () =>
      Array.from({ length }, () => this.numbers(width, this.testCase.dtype)),
    );
  }

  #plane(places: Places, headDim: number, of: (sequence: Sequence) => Heads): Plane {
    const { dtype } = this.testCase;
    const { sizeBytes, headBytes: _, ...strides } = packedStrides({ ...this.testCase, ...places }, headDim);
    const bytes = poison(sizeBytes, dtype);
    this.sequences.forEach((sequence, s) => {
      of(sequence).forEach((tokens, head) => {
        tokens.forEach((vector, position) => {
          const block = places.blocks[s]?.[Math.floor(position / places.tokensPerBlock)] ?? Number.NaN;
          const token = position % places.tokensPerBlock;
          const { blockStrideBytes, tokenStrideBytes, headStrideBytes } = strides;
          bytes.set(
            encode(vector, dtype),
            block * blockStrideBytes + token * tokenStrideBytes + head * headStrideBytes,
          );
        });
      });
    });
    return { ...strides, memory: this.upload(bytes), headDim };
  }
}

interface Plane extends PlaneLayout {
  readonly memory: DeviceMemory | MemorySlice;
}

interface Places {
  readonly numBlocks: number;
  readonly tokensPerBlock: number;
  /** The blocks that each sequence owns, and the rows of the block tables. */
  readonly blocks: readonly (readonly number[])[];
  readonly tables: readonly (readonly number[])[];
}

function placesOf(testCase: AttentionCase, random: Random): Places {
  const { lengths, layout } = testCase;
  if (layout === "contiguous") {
    const blocks = lengths.map((_, i) => [i]);
    return { numBlocks: lengths.length, tokensPerBlock: Math.max(...lengths) + 3, blocks, tables: [] };
  }
  const { tokensPerBlock } = testCase;
  const counts = lengths.map((length) => Math.ceil(length / tokensPerBlock));
  const maxBlocks = Math.max(...counts) + 1;
  const numOwned = counts.reduce((sum, each) => sum + each, 0);
  const numBlocks = numOwned + 2;
  const ids = random.shuffled(Array.from({ length: numBlocks }, (_, i) => i));
  const unowned = [-1, ids[numOwned] ?? -1, numBlocks, 2 ** 31 - 1];
  let used = 0;
  const blocks = counts.map((count) => {
    used += count;
    return ids.slice(used - count, used);
  });
  const tables = blocks.map((owned) => [
    ...owned,
    ...Array.from({ length: maxBlocks - owned.length }, (_, i) => unowned[i % unowned.length] ?? -1),
  ]);
  return { numBlocks, tokensPerBlock, blocks, tables };
}
