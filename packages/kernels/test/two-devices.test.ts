import { createRequire } from "node:module";
import path from "node:path";
import { type Device, type MemoryRegion, openDevice } from "@kv/device-memory";
import { describe, expect, test } from "vitest";
import {
  append,
  copyBlocks,
  decodeAttention,
  gatherBlocks,
  KvView,
  mergeAttention,
  packedBlockBytes,
  prefillAttention,
} from "../src/index.ts";

// The stand-in for the driver, with two devices. It serves host memory, and has no kernels of attention.
const nativeFolder = path.dirname(createRequire(import.meta.url).resolve("@kv/native/package.json"));
process.env["KV_LIBCUDA"] = path.join(nativeFolder, "build", "Release", "libkv_fake_cuda.so");
process.env["KV_FAKE_CUDA_DEVICES"] = "2";

const HEAD_DIM = 16;
const TOKEN_BYTES = 2 * HEAD_DIM;
const TOKENS_PER_BLOCK = 4;
const NUM_BLOCKS = 4;

describe("memory of another GPU than the stream's", () => {
  const [own, other] = [openDevice("cuda:0"), openDevice("cuda:1")] as const;
  const view = viewOn(own);
  const token = (device: Device): MemoryRegion => device.allocate(TOKEN_BYTES);
  const int32 = (device: Device, ...numbers: number[]): MemoryRegion => {
    const memory = device.allocate(4 * numbers.length);
    memory.upload(Int32Array.from(numbers));
    return memory;
  };
  const refusal = (argument: string): unknown =>
    expect.objectContaining({ code: "INVALID_ARGUMENT", argument, message: expect.stringMatching(/cuda:1.*cuda:0/) });
  const appended = { keys: token(own), values: token(own), slots: int32(own, 0) };
  const attended = {
    query: token(own),
    output: token(own),
    logSumExp: int32(own, 0),
    numQueryHeads: 1,
    sequenceLengths: int32(own, 1),
    blockTables: int32(own, 0),
  };
  const prefilled = { ...attended, queryOffsets: int32(own, 0, 1) };
  const merged = { parts: token(own), logSumExps: int32(own, 0), output: token(own), numParts: 1, width: HEAD_DIM };

  test.each(Object.keys(appended))("is refused as append's %s", (argument) => {
    append(view, appended);
    const foreign = other.allocate(appended[argument as keyof typeof appended].sizeBytes);
    expect(() => append(view, { ...appended, [argument]: foreign })).toThrow(refusal(argument));
  });

  test.each(["query", "output", "logSumExp", "sequenceLengths", "blockTables"] as const)(
    "is refused as decode and prefill attention's %s",
    (argument) => {
      const foreign = other.allocate(attended[argument].sizeBytes);
      expect(() => decodeAttention(view, { ...attended, [argument]: foreign })).toThrow(refusal(argument));
      expect(() => prefillAttention(view, { ...prefilled, [argument]: foreign })).toThrow(refusal(argument));
    },
  );

  test.each(["parts", "logSumExps", "output"] as const)("is refused as mergeAttention's %s", (argument) => {
    const foreign = other.allocate(merged[argument].sizeBytes);
    expect(() => mergeAttention({ ...merged, partDtype: "fp16", [argument]: foreign }, own.defaultStream)).toThrow(
      refusal(argument),
    );
  });

  test("is refused as the view's, and as what blocks are gathered into", () => {
    const foreign = viewOn(other);
    expect(() => append(foreign, appended, own.defaultStream)).toThrow(refusal("view"));
    expect(() => copyBlocks(foreign, [{ from: 0, to: 1 }], own.defaultStream)).toThrow(refusal("view"));
    expect(() => gatherBlocks(view, [1], other.allocate(packedBlockBytes(view)))).toThrow(refusal("to"));
  });

  test("is taken where it is pinned, which every GPU reaches", () => {
    const pinned = other.allocatePinned(TOKEN_BYTES);
    append(view, { ...appended, keys: pinned });
    own.defaultStream.synchronizeSync();
  });
});

function viewOn(device: Device): KvView {
  const plane = {
    blockStrideBytes: TOKENS_PER_BLOCK * TOKEN_BYTES,
    tokenStrideBytes: TOKEN_BYTES,
    headStrideBytes: TOKEN_BYTES,
    headDim: HEAD_DIM,
  };
  const sizeBytes = NUM_BLOCKS * plane.blockStrideBytes;
  const [keys, values] = [device.allocate(sizeBytes), device.allocate(sizeBytes)] as const;
  return new KvView({
    keys: { ...plane, memory: keys },
    values: { ...plane, memory: values },
    dtype: "fp16",
    numKvHeads: 1,
    tokensPerBlock: TOKENS_PER_BLOCK,
    numBlocks: NUM_BLOCKS,
  });
}
