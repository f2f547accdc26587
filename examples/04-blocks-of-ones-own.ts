// Writes tokens into blocks that lie anywhere in one buffer, through a slot mapping, and copies a block.
import { openDevice } from "@kv/device-memory";
import { append, copyBlocks, KvView } from "@kv/kernels";

const [numBlocks, tokensPerBlock, numKvHeads, headDim] = [32, 16, 4, 64];
const headStrideBytes = headDim * 2;
const tokenStrideBytes = numKvHeads * headStrideBytes;
const blockStrideBytes = 2 * tokensPerBlock * tokenStrideBytes; // keys, then values of the same block

using device = openDevice();
using pool = device.allocate(numBlocks * blockStrideBytes, "32 blocks of 16 tokens");
const planeBytes = pool.sizeBytes - blockStrideBytes / 2;
const strides = { blockStrideBytes, tokenStrideBytes, headStrideBytes, headDim };
const view = new KvView({
  keys: { memory: pool.slice(0, planeBytes), ...strides },
  values: { memory: pool.slice(blockStrideBytes / 2, planeBytes), ...strides },
  dtype: "fp16",
  numKvHeads,
  tokensPerBlock,
  numBlocks,
});

using tokens = device.allocate(3 * tokenStrideBytes, { zero: false });
tokens.fill(0x3c);
using slots = device.allocate(3 * Int32Array.BYTES_PER_ELEMENT);
slots.upload(Int32Array.of(7 * 16 + 15, 2 * 16, -1)); // the last place of block 7, the first of block 2; one is skipped
append(view, { keys: tokens, values: tokens, slots });
copyBlocks(view, [{ from: 2, to: 31 }]);

const copied = new Uint16Array(1);
await pool.slice(31 * blockStrideBytes, 2).copyToHost(copied);
console.log(`block 31 holds what block 2 does: 0x${copied[0]?.toString(16)}`);
