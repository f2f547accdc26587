import type { Device, DeviceMemory } from "@kv/device-memory";
import { decodeAttention, KvView, prefillAttention } from "@kv/kernels";
import type { AttentionRow } from "./attention-rows.ts";
import { bf16Numbers } from "./numbers.ts";

/** So much is read between two reads of the same keys, that no cache of the device still has them. */
const BYTES_BETWEEN = 512 * 1024 ** 2;
const ELEMENT_BYTES = 2;

/** A layer with a row's keys and values, several times over where they are few, in blocks in mixed order. */
export interface AttentionCache extends Disposable {
  /** Queues decode attention over one of the copies; on the host by another way than the fastest if given. */
  decode(copy: number, hostVariant?: "reference"): void;
  /** Queues prefill attention over the first copy. */
  prefill(): void;
}

/** Fills the layer, and the query, with numbers of about the size that models have. */
export function openAttentionCache(device: Device, row: AttentionRow, tokensPerBlock: number): AttentionCache {
  const { lengths, newTokens, numQueryHeads, numKvHeads, headDim } = row;
  const batch = lengths.length;
  const maxBlocks = Math.ceil(Math.max(...lengths) / tokensPerBlock);
  const blocksPerCopy = lengths.reduce((sum, length) => sum + Math.ceil(length / tokensPerBlock), 0);
  const headStrideBytes = headDim * ELEMENT_BYTES;
  const tokenStrideBytes = numKvHeads * headStrideBytes;
  const blockStrideBytes = tokensPerBlock * tokenStrideBytes;
  const isLarge = device.kind === "cuda" && newTokens === 1;
  const numCopies = isLarge ? Math.max(1, Math.ceil(BYTES_BETWEEN / (2 * blocksPerCopy * blockStrideBytes))) : 1;
  const numBlocks = numCopies * blocksPerCopy;
  const memories: DeviceMemory[] = [];
  const keep = (memory: DeviceMemory): DeviceMemory => memories[memories.push(memory) - 1] as DeviceMemory;
  const upload = (bytes: ArrayBufferView): DeviceMemory => {
    const memory = keep(device.allocate(bytes.byteLength));
    memory.upload(bytes);
    return memory;
  };
  const plane = { blockStrideBytes, tokenStrideBytes, headStrideBytes, headDim };
  const keys = keep(bf16Numbers(device, numBlocks * blockStrideBytes));
  const values = keep(bf16Numbers(device, numBlocks * blockStrideBytes));
  const view = new KvView({
    keys: { memory: keys, ...plane },
    values: { memory: values, ...plane },
    dtype: "bf16",
    numKvHeads,
    tokensPerBlock,
    numBlocks,
  });
  const rowBytes = numQueryHeads * headDim * ELEMENT_BYTES;
  const query = keep(bf16Numbers(device, batch * newTokens * rowBytes));
  const output = keep(device.allocate(batch * newTokens * rowBytes));
  const sequenceLengths = upload(Int32Array.from(lengths));
  const tables = Array.from({ length: numCopies }, (_, copy) =>
    upload(tableOf(lengths, tokensPerBlock, maxBlocks, copy * blocksPerCopy, blocksPerCopy)),
  );
  const queryOffsets = upload(Int32Array.from({ length: batch + 1 }, (_, i) => i * newTokens));
  const input = { query, output, numQueryHeads, sequenceLengths };
  return {
    decode: (copy, hostVariant) =>
      decodeAttention(view, {
        ...input,
        blockTables: tables[copy % numCopies] as DeviceMemory,
        ...(hostVariant === undefined ? {} : { hostVariant }),
      }),
    prefill: () => prefillAttention(view, { ...input, queryOffsets, blockTables: tables[0] as DeviceMemory }),
    [Symbol.dispose]: () => {
      for (const memory of memories) memory.dispose();
    },
  };
}

/** Each sequence's blocks, dealt out by a stride that shares no divisor with their number, as after long use. */
function tableOf(
  lengths: readonly number[],
  tokensPerBlock: number,
  maxBlocks: number,
  firstBlock: number,
  numBlocks: number,
): Int32Array {
  const stride = coprimeTo(numBlocks);
  const table = new Int32Array(lengths.length * maxBlocks).fill(-1);
  let next = 0;
  lengths.forEach((length, sequence) => {
    for (let i = 0; i < Math.ceil(length / tokensPerBlock); i++) {
      table[sequence * maxBlocks + i] = firstBlock + ((next++ * stride) % numBlocks);
    }
  });
  return table;
}

function coprimeTo(count: number): number {
  return [7919, 104_729, 611_953].find((prime) => count % prime !== 0) ?? 1;
}
