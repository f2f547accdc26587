// What append, block copies and gathering move, on the device's clock, beside plain copies in the same process.
// `--device=host` for another device than the first GPU.
import { type DeviceMemory, openDevice } from "@kv/device-memory";
import { append, copyBlocks, gatherBlocks, KvView, packedBlockBytes, scatterBlocks } from "@kv/kernels";
import { copyRate } from "./ceilings.ts";
import { DeviceClock } from "./device-clock.ts";
import { formatUs, gigabytesPerSecond, percent, printTable } from "./figures.ts";
import { bf16Numbers } from "./numbers.ts";

const KIBI = 1024;
const MEBIBYTE = 1024 ** 2;
// Llama-3-8B's.
const NUM_KV_HEADS = 8;
const HEAD_DIM = 128;
/** Of the keys of one token, and of its values. */
const TOKEN_BYTES = NUM_KV_HEADS * HEAD_DIM * 2;
const DECODE_BATCH = 256;

const name = process.argv.find((arg) => arg.startsWith("--device="))?.slice("--device=".length) ?? "auto";
const device = openDevice(name);
const clock = new DeviceClock(device);
const isGpu = device.kind === "cuda";
/** Of the keys in the cache, and of its values: more than any cache of the device holds. */
const PLANE_BYTES = (isGpu ? 1024 : 128) * MEBIBYTE;
const keys = bf16Numbers(device, PLANE_BYTES);
const values = bf16Numbers(device, PLANE_BYTES);
const newKeys = bf16Numbers(device, PLANE_BYTES);
const newValues = bf16Numbers(device, PLANE_BYTES);

const copies = copyRate(device, clock);
process.stdout.write(
  `${device.name}: ${device.properties.description}; a copy reads and writes ${copies.toFixed(1)} GB/s\n`,
);
benchAppend();
benchDecodeAppend();
benchCopyBlocks();
benchGather();
for (const each of [keys, values, newKeys, newValues, clock]) each[Symbol.dispose]();
device.dispose();

/** Prompts' tokens: keys and values of so many bytes together, each call with others and into other slots. */
function benchAppend(): void {
  const view = viewOf(16);
  const rows = [64, 256, 1024].flatMap((mebibytes) => {
    const bytes = (mebibytes * MEBIBYTE) / 2;
    if (bytes > PLANE_BYTES) return [];
    const numParts = PLANE_BYTES / bytes;
    const us = clock.microsecondsOf((call) => {
      const part = call % numParts;
      const from = (memory: DeviceMemory) => memory.slice(part * bytes, bytes);
      append(view, { keys: from(newKeys), values: from(newValues), slots: (part * bytes) / TOKEN_BYTES });
    });
    return [moved(`${mebibytes} MiB of tokens`, us, 2 * mebibytes * MEBIBYTE)];
  });
  printTable("append", ["", "median", "read + written", "of a plain copy"], rows);
}

/** One new token of each sequence, in blocks all over the cache. */
function benchDecodeAppend(): void {
  const view = viewOf(16);
  const bytes = DECODE_BATCH * TOKEN_BYTES;
  const tokens = { keys: newKeys.slice(0, bytes), values: newValues.slice(0, bytes) };
  using slots = device.allocate(4 * DECODE_BATCH);
  slots.upload(Int32Array.from({ length: DECODE_BATCH }, (_, i) => (i * 7919 * 16 + i) % view.numSlots));
  const us = clock.microsecondsOf(() => append(view, { ...tokens, slots }));
  printTable("append of a decode step", ["", "median"], [[`${DECODE_BATCH} sequences, one token each`, formatUs(us)]]);
}

/** Half of the blocks into the other half. */
function benchCopyBlocks(): void {
  const rows = [16, 32, 64, 1024].map((kibibytes) => {
    const view = viewOf((kibibytes * KIBI) / (2 * TOKEN_BYTES));
    const half = view.numBlocks / 2;
    const pairs = Int32Array.from({ length: view.numBlocks }, (_, i) => (i % 2) * half + (i >> 1));
    const us = clock.microsecondsOf(() => copyBlocks(view, pairs));
    return moved(`blocks of ${kibibytes} KiB`, us, 2 * PLANE_BYTES);
  });
  printTable("copyBlocks, pairs as an Int32Array", ["", "median", "read + written", "of a plain copy"], rows);
}

/** Blocks from all over the cache, to pinned memory and back, beside one large copy of as many bytes. */
function benchGather(): void {
  using pinned = device.allocatePinned((isGpu ? 256 : 32) * MEBIBYTE);
  const { sizeBytes } = pinned;
  const packed = newKeys.slice(0, sizeBytes);
  const outUs = clock.microsecondsOf(() => pinned.copyFrom(packed));
  const inUs = clock.microsecondsOf(() => packed.copyFrom(pinned));
  const row = (what: string, us: number, limitUs: number): string[] => [
    what,
    formatUs(us),
    `${gigabytesPerSecond(sizeBytes, us).toFixed(1)} GB/s`,
    percent(limitUs / us),
  ];
  const rows = [16, 64, 1024].flatMap((kibibytes) => {
    const view = viewOf((kibibytes * KIBI) / (2 * TOKEN_BYTES));
    const numBlocks = sizeBytes / packedBlockBytes(view);
    const blocks = Int32Array.from({ length: numBlocks }, (_, i) => (i * 7919) % view.numBlocks);
    return [
      row(
        `gather ${kibibytes} KiB`,
        clock.microsecondsOf(() => gatherBlocks(view, blocks, pinned)),
        outUs,
      ),
      row(
        `scatter ${kibibytes} KiB`,
        clock.microsecondsOf(() => scatterBlocks(view, blocks, pinned)),
        inUs,
      ),
    ];
  });
  printTable(
    `Blocks to pinned memory and back, ${sizeBytes / MEBIBYTE} MiB`,
    ["", "median", "", "of one large copy"],
    [row("one copy to pinned", outUs, outUs), row("one copy from pinned", inUs, inUs), ...rows],
  );
}

function viewOf(tokensPerBlock: number): KvView {
  const plane = {
    blockStrideBytes: tokensPerBlock * TOKEN_BYTES,
    tokenStrideBytes: TOKEN_BYTES,
    headStrideBytes: HEAD_DIM * 2,
    headDim: HEAD_DIM,
  };
  return new KvView({
    keys: { memory: keys, ...plane },
    values: { memory: values, ...plane },
    dtype: "bf16",
    numKvHeads: NUM_KV_HEADS,
    tokensPerBlock,
    numBlocks: PLANE_BYTES / plane.blockStrideBytes,
  });
}

function moved(what: string, us: number, bytes: number): string[] {
  const rate = gigabytesPerSecond(bytes, us);
  return [what, formatUs(us), `${rate.toFixed(1)} GB/s`, percent(rate / copies)];
}
