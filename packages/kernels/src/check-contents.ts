import type { MemoryRegion, Stream } from "@kv/device-memory";
import type { DecodeAttentionDescription, PrefillAttentionDescription } from "@kv/native";
import { ContentsError } from "./errors.ts";
import type { KvView } from "./kv-view.ts";

let isOn = process.env["KV_CHECK_CONTENTS"] === "1";

/**
 * Has every call look at what its arrays in device memory hold before it is queued, and throw a ContentsError for what
 * does not fit: to find mistakes, since each call then waits for the stream. Off unless KV_CHECK_CONTENTS=1 is in the
 * environment; kernels skip or mask then what does not fit. Calls that are captured in a graph are not looked at: what the
 * arrays hold at a replay is not known yet.
 */
export function checkContents(on: boolean): void {
  isOn = on;
}

/** Slots that the view has, each once, or -1; and positions from 0 to below `numPositions` of tokens that have a slot. */
export function checkTokens(
  view: KvView,
  slots: MemoryRegion | number,
  positions: MemoryRegion | number | undefined,
  numPositions: number,
  stream: Stream,
): void {
  if (!isOn || stream.isCapturing) return;
  const found = numbersOf(slots, stream);
  const taken = new Set<number>();
  for (const [i, slot] of found.entries()) {
    requireWithin("slots", i, slot, -1, view.numSlots - 1);
    if (slot >= 0 && taken.has(slot)) throw new ContentsError("slots", i, slot, "a slot that no other token has");
    taken.add(slot);
  }
  for (const [i, position] of numbersOf(positions, stream).entries()) {
    if (found[i] !== -1) requireWithin("positions", i, position, 0, numPositions - 1);
  }
}

/** Lengths within the room for them, offsets that do not decrease, and blocks that the view has, or -1. */
export function checkAttention(
  view: KvView,
  input: {
    readonly sequenceLengths: MemoryRegion | number;
    readonly blockTables?: MemoryRegion;
    readonly queryOffsets?: MemoryRegion;
  },
  { batch, maxBlocks, ...others }: DecodeAttentionDescription | PrefillAttentionDescription,
  stream: Stream,
): void {
  if (!isOn || stream.isCapturing) return;
  const { sequenceLengths } = input;
  const capacity = maxBlocks * view.tokensPerBlock;
  const lengths = typeof sequenceLengths === "number" ? undefined : numbersOf(sequenceLengths, stream);
  for (const [i, length] of (lengths ?? []).entries()) requireWithin("sequenceLengths", i, length, 0, capacity);
  const mostTokens = "numQueryTokens" in others ? others.numQueryTokens : 0;
  let least = 0;
  for (const [i, offset] of numbersOf(input.queryOffsets, stream).entries()) {
    requireWithin("queryOffsets", i, offset, least, i === 0 ? 0 : mostTokens);
    least = offset;
  }
  const tables = numbersOf(input.blockTables, stream);
  for (let row = 0; row < batch && tables.length > 0; row++) {
    const length = lengths?.[row] ?? (sequenceLengths as number);
    const numBlocks = Math.ceil(length / view.tokensPerBlock);
    for (let i = row * maxBlocks; i < row * maxBlocks + numBlocks; i++) {
      requireWithin("blockTables", i, tables[i] ?? Number.NaN, -1, view.numBlocks - 1);
    }
  }
}

function numbersOf(region: MemoryRegion | number | undefined, stream: Stream): Int32Array {
  if (region === undefined || typeof region === "number" || region.sizeBytes === 0) return new Int32Array();
  const numbers = new Int32Array(region.sizeBytes / Int32Array.BYTES_PER_ELEMENT);
  region.copyToHostSync(numbers, stream);
  return numbers;
}

function requireWithin(argument: string, index: number, value: number, least: number, most: number): void {
  if (value >= least && value <= most) return;
  throw new ContentsError(argument, index, value, `from ${least} to ${most}`);
}
