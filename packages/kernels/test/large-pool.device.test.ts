import { type Device, type DeviceMemory, type MemorySlice, openDevice } from "@kv/device-memory";
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from "vitest";
import {
  append,
  copyBlocks,
  decodeAttention,
  gatherBlocks,
  KvView,
  packedBlockBytes,
  prefillAttention,
  scatterBlocks,
} from "../src/index.ts";
import { isSmall } from "./cases.ts";
import { decode, encode, rounded } from "./elements.ts";
import { contents, requireNear } from "./near.ts";
import { Random } from "./random.ts";

const missing = inject("deviceMissing");
// What 32 bits cannot count. The host, whose kernels have the same address formula, goes the same ways in less memory.
const FAR_ELEMENTS = inject("device") === "host" ? 2 ** 22 : 2 ** 32;
const NEEDED_BYTES = inject("device") === "host" ? 0 : 12e9;

const NUM_TOKENS = 300;
const NUM_HEADS = 2;
const WIDTH = 128;
const HEAD_BYTES = 2 * WIDTH;
const TOKEN_BYTES = NUM_HEADS * HEAD_BYTES;
const NUM_QUERY_HEADS = 4;
const POISON = 0xff;

/** Where the tokens of a sequence lie in one memory: strides in elements, and the sequence's blocks in order. */
interface Arrangement {
  readonly name: string;
  readonly tokensPerBlock: number;
  readonly numBlocks: number;
  readonly blockStride: number;
  readonly tokenStride: number;
  readonly headStride: number;
  /** The first value, behind the first key. */
  readonly valuesStart: number;
  readonly table: readonly number[];
}

const PACKED_BLOCKS = { tokensPerBlock: 64, tokenStride: 2 * WIDTH, headStride: WIDTH, valuesStart: 64 * 2 * WIDTH };
const BLOCK_STRIDE = 2 * PACKED_BLOCKS.valuesStart;
const FAR_BLOCK = FAR_ELEMENTS / BLOCK_STRIDE;

const NEAR: Arrangement = {
  ...PACKED_BLOCKS,
  name: "near",
  numBlocks: 6,
  blockStride: BLOCK_STRIDE,
  table: [3, 1, 5, 0, 2],
};

const FAR: readonly Arrangement[] = [
  {
    ...NEAR,
    name: "block after block",
    numBlocks: FAR_BLOCK + 6,
    table: NEAR.table.map((block) => FAR_BLOCK + block),
  },
  {
    name: "blocks apart",
    tokensPerBlock: 512,
    numBlocks: 2,
    blockStride: FAR_ELEMENTS,
    tokenStride: 2 * WIDTH,
    headStride: WIDTH,
    valuesStart: 512 * 2 * WIDTH,
    table: [1],
  },
  {
    name: "tokens apart",
    tokensPerBlock: NUM_TOKENS,
    numBlocks: 1,
    blockStride: 2 * FAR_ELEMENTS,
    tokenStride: 4 * WIDTH * Math.ceil(FAR_ELEMENTS / 280 / (4 * WIDTH)),
    headStride: WIDTH,
    valuesStart: 2 * WIDTH,
    table: [0],
  },
  {
    name: "heads apart",
    tokensPerBlock: NUM_TOKENS,
    numBlocks: 1,
    blockStride: 2 * FAR_ELEMENTS,
    tokenStride: 2 * WIDTH,
    headStride: FAR_ELEMENTS,
    valuesStart: WIDTH,
    table: [0],
  },
];

describe.skipIf(missing !== "" || isSmall)(
  `a pool of over ${FAR_ELEMENTS} elements on ${inject("device")} ${missing}`,
  () => {
    let device: Device;
    beforeAll(() => {
      device = openDevice(inject("device"));
    });
    beforeEach(({ skip }) => {
      const { freeBytes } = device.memoryInfo();
      if (freeBytes < NEEDED_BYTES) skip(`needs ${NEEDED_BYTES} free bytes, ${device.name} has ${freeBytes}`);
    });
    afterAll(() => device.dispose());

    test.each(FAR)("append, gather and scatter reach all of it: $name", (arrangement) => {
      using pool = new Pool(device, arrangement);
      pool.append();
      pool.check();
      using packed = device.allocate(arrangement.table.length * packedBlockBytes(pool.view));
      gatherBlocks(pool.view, arrangement.table, packed);
      const gathered = contents(packed);
      expect(Buffer.from(gathered).equals(pool.wantedPacked())).toBe(true);
      pool.memory.fill(POISON);
      scatterBlocks(pool.view, arrangement.table, packed);
      pool.check();
    });

    test.each(FAR.slice(0, 2))("copyBlocks goes far and back: $name", (arrangement) => {
      using pool = new Pool(device, arrangement);
      pool.append();
      const [first = 0] = arrangement.table;
      copyBlocks(pool.view, [{ from: first, to: 0 }]);
      pool.checkBlock(0);
      pool.blockMemory(first).fill(POISON);
      copyBlocks(pool.view, [{ from: 0, to: first }]);
      pool.check();
    });

    test.each(FAR)("attention reads all of it: $name", (arrangement) => {
      using near = new Pool(device, NEAR);
      using far = new Pool(device, arrangement);
      near.append();
      far.append();
      for (const [kernel, numTokens] of [
        ["decode", 2],
        ["prefill", 20],
      ] as const) {
        const [wanted, found] = [near, far].map((pool) => pool.attend(kernel, numTokens)) as [
          Float64Array,
          Float64Array,
        ];
        // The same tokens in other places: the parts may be added up in another order.
        for (const [i, each] of wanted.entries()) requireNear(`${kernel}, element ${i}`, found[i], each, 2 ** -9);
      }
    });
  },
);

/** Memory with a sequence in it, and poison everywhere else. */
class Pool implements Disposable {
  readonly device: Device;
  readonly memory: DeviceMemory;
  readonly view: KvView;
  readonly #arrangement: Arrangement;
  readonly #keys: Uint8Array;
  readonly #values: Uint8Array;

  constructor(device: Device, arrangement: Arrangement) {
    const { numBlocks, tokensPerBlock, blockStride, tokenStride, headStride, valuesStart } = arrangement;
    const planeBytes =
      2 * ((numBlocks - 1) * blockStride + (tokensPerBlock - 1) * tokenStride + (NUM_HEADS - 1) * headStride + WIDTH);
    this.device = device;
    this.#arrangement = arrangement;
    this.memory = device.allocate(2 * valuesStart + planeBytes);
    this.memory.fill(POISON);
    const plane = {
      blockStrideBytes: 2 * blockStride,
      tokenStrideBytes: 2 * tokenStride,
      headStrideBytes: 2 * headStride,
      headDim: WIDTH,
    };
    const numKvHeads = NUM_HEADS;
    this.view = new KvView({
      keys: { ...plane, memory: this.memory.slice(0, planeBytes) },
      values: { ...plane, memory: this.memory.slice(2 * valuesStart, planeBytes) },
      dtype: "fp16",
      ...{ numKvHeads, tokensPerBlock, numBlocks },
    });
    const random = new Random(4);
    this.#keys = numbers(random, NUM_TOKENS * NUM_HEADS * WIDTH);
    this.#values = numbers(random, NUM_TOKENS * NUM_HEADS * WIDTH);
  }

  append(): void {
    const { table, tokensPerBlock } = this.#arrangement;
    const slots = Int32Array.from({ length: NUM_TOKENS }, (_, position) => {
      const block = table[Math.floor(position / tokensPerBlock)] ?? Number.NaN;
      return block * tokensPerBlock + (position % tokensPerBlock);
    });
    using keys = uploaded(this.device, this.#keys);
    using values = uploaded(this.device, this.#values);
    using slotMapping = uploaded(this.device, slots);
    append(this.view, { keys, values, slots: slotMapping });
  }

  /** Requires every token to be where the sum of its strides is. */
  check(): void {
    this.#arrangement.table.forEach((block, i) => {
      this.checkBlock(block, i);
    });
  }

  /** Requires a block to hold the tokens of the `i`th of the sequence. */
  checkBlock(block: number, i = 0): void {
    const { tokensPerBlock, tokenStride, headStride, valuesStart } = this.#arrangement;
    const first = i * tokensPerBlock;
    for (let position = first; position < Math.min(first + tokensPerBlock, NUM_TOKENS); position++) {
      for (let head = 0; head < NUM_HEADS; head++) {
        const at = this.#at(block) + (position - first) * tokenStride + head * headStride;
        const from = position * TOKEN_BYTES + head * HEAD_BYTES;
        for (const [start, bytes] of [
          [at, this.#keys],
          [valuesStart + at, this.#values],
        ] as const) {
          const found = contents(this.memory.slice(2 * start, HEAD_BYTES));
          if (Buffer.compare(found, bytes.subarray(from, from + HEAD_BYTES)) === 0) continue;
          throw new Error(`block ${block}, position ${position}, head ${head}: other bytes at element ${start}`);
        }
      }
    }
  }

  /** One block, where it is packed. */
  blockMemory(block: number): MemorySlice {
    return this.memory.slice(2 * this.#at(block), 4 * this.#arrangement.valuesStart);
  }

  /** The sequence's blocks as `gatherBlocks` packs them. */
  wantedPacked(): Buffer {
    const { table, tokensPerBlock } = this.#arrangement;
    const blockBytes = tokensPerBlock * TOKEN_BYTES;
    const part = (bytes: Uint8Array, i: number): Buffer => {
      const block = Buffer.alloc(blockBytes, POISON);
      block.set(bytes.subarray(i * blockBytes, (i + 1) * blockBytes));
      return block;
    };
    return Buffer.concat(table.flatMap((_, i) => [part(this.#keys, i), part(this.#values, i)]));
  }

  /** Attention of the sequence's last tokens, by one of the kernels. */
  attend(kernel: "decode" | "prefill", numTokens: number): Float64Array {
    const { device } = this;
    const bytes = numbers(new Random(5), numTokens * NUM_QUERY_HEADS * WIDTH);
    using query = uploaded(device, bytes);
    using output = device.allocate(bytes.length);
    output.fill(POISON);
    using sequenceLengths = uploaded(device, Int32Array.of(NUM_TOKENS));
    using blockTables = uploaded(device, Int32Array.from(this.#arrangement.table));
    using queryOffsets = uploaded(device, Int32Array.of(0, numTokens));
    const input = { query, output, numQueryHeads: NUM_QUERY_HEADS, sequenceLengths, blockTables };
    if (kernel === "decode") decodeAttention(this.view, { ...input, queryLength: numTokens });
    else prefillAttention(this.view, { ...input, queryOffsets });
    return decode(contents(output), "fp16");
  }

  [Symbol.dispose](): void {
    this.memory.dispose();
  }

  #at(block: number): number {
    return block * this.#arrangement.blockStride;
  }
}

function numbers(random: Random, count: number): Uint8Array {
  return encode(
    Float64Array.from({ length: count }, () => rounded(random.normal(), "fp16")),
    "fp16",
  );
}

function uploaded(device: Device, bytes: Uint8Array | Int32Array): DeviceMemory {
  const memory = device.allocate(bytes.byteLength);
  memory.upload(bytes);
  return memory;
}
