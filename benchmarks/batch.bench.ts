// What a decode step of 256 sequences at 8K tokens costs the host before the kernels: one token more for each sequence,
// the batch's tables, slots and lengths, and sending them. `--device=host` for another device than the first GPU.
import { PagedKVCache } from "@kv/cache";
import { openDevice } from "@kv/device-memory";
import { formatUs, printTable, time } from "./figures.ts";

const NUM_SEQUENCES = 256;
const LENGTH = 8192;
const TOKENS_PER_BLOCK = 16;
const NUM_STEPS = 500;
const name = process.argv.find((arg) => arg.startsWith("--device="))?.slice("--device=".length) ?? "auto";

using device = openDevice(name);
const maxBlocksPerSequence = (LENGTH + 5 * NUM_STEPS) / TOKENS_PER_BLOCK + 1;
// One small layer: what is timed does not depend on how wide the keys and values are.
using cache = PagedKVCache.allocate(device, {
  numLayers: 1,
  numKvHeads: 1,
  headDim: 8,
  tokensPerBlock: TOKENS_PER_BLOCK,
  numBlocks: NUM_SEQUENCES * Math.ceil(maxBlocksPerSequence),
});
using batch = cache.createBatch({
  maxSequences: NUM_SEQUENCES,
  maxTokens: NUM_SEQUENCES,
  maxBlocksPerSequence: Math.ceil(maxBlocksPerSequence),
});
const sequences = Array.from({ length: NUM_SEQUENCES }, (_, sequence) =>
  cache.createSequence(Int32Array.from({ length: LENGTH }, (_unused, i) => sequence * LENGTH + i)),
);
{
  using prompts = cache.createBatch({
    maxSequences: NUM_SEQUENCES,
    maxTokens: NUM_SEQUENCES * LENGTH,
    maxBlocksPerSequence: Math.ceil(maxBlocksPerSequence),
  });
  prompts.prepare(sequences);
  prompts.commit();
}
const settle = (): void => device.defaultStream.synchronizeSync();
const appendAll = (): void => {
  for (const sequence of sequences) sequence.appendToken(1);
};
const prepare = (): void => batch.prepare(sequences);
const finish = (): void => {
  prepare();
  batch.commit();
  settle();
};
// The engine compiles what it has seen often.
for (let i = 0; i < 2 * NUM_STEPS; i++) {
  appendAll();
  finish();
}
const appended = time(NUM_STEPS, appendAll, finish);
const prepared = time(NUM_STEPS, prepare, () => {
  batch.commit();
  settle();
  appendAll();
});
printTable(
  `${NUM_SEQUENCES} sequences of ${LENGTH} tokens, one new token each, on ${device.name}`,
  ["", "median", "least"],
  [
    ["append a token to each", formatUs(appended.medianUs), formatUs(appended.minUs)],
    ["prepare: tables, slots, lengths, upload", formatUs(prepared.medianUs), formatUs(prepared.minUs)],
  ],
);
for (const sequence of sequences) sequence.dispose();
