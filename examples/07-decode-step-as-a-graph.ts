// A decode step of all layers, captured once and replayed while sequences grow: one call queues the whole step.
import { PagedKVCache } from "@kv/cache";
import { openDevice } from "@kv/device-memory";

const [numLayers, numQueryHeads, numKvHeads, headDim] = [8, 8, 2, 64];
using device = openDevice();
using cache = PagedKVCache.allocate(device, { numLayers, numKvHeads, headDim, dtype: "bf16", numBlocks: 128 });
using batch = cache.createBatch({ maxSequences: 4, maxTokens: 64, maxBlocksPerSequence: 16 });

// Room for a step's tokens: the graph reads and writes the same memory at every replay.
const [bytesPerQuery, bytesPerKey] = [numQueryHeads * headDim * 2, numKvHeads * headDim * 2];
using queries = device.allocate(64 * bytesPerQuery);
using keys = device.allocate(64 * bytesPerKey);
using values = device.allocate(64 * bytesPerKey);
using outputs = device.allocate(64 * bytesPerQuery);

function attend(numTokens: number): void {
  const [q, output] = [queries.slice(0, numTokens * bytesPerQuery), outputs.slice(0, numTokens * bytesPerQuery)];
  const [k, v] = [keys.slice(0, numTokens * bytesPerKey), values.slice(0, numTokens * bytesPerKey)];
  for (let layer = 0; layer < numLayers; layer++) cache.attend(layer, batch, { q, k, v, output, numQueryHeads });
}

using step = batch.captureDecode(() => attend(4)); // of up to 4 sequences with one new token each
const sequences = [cache.createSequence([1, 2, 3]), cache.createSequence(Array.from({ length: 30 }, (_, i) => i))];
batch.prepare(sequences);
attend(batch.numTokens); // the prompts, by calls
batch.commit();
for (let token = 100; token < 110; token++) {
  for (const sequence of sequences) sequence.appendToken(token);
  batch.prepare(sequences); // lengths, positions and block tables of this step: one copy
  step.replay();
  batch.commit();
}
await device.defaultStream.synchronize();
console.log(
  `${sequences.map(({ writtenTokens }) => writtenTokens).join(" and ")} tokens, ${numLayers} layers a replay`,
);
for (const sequence of sequences) sequence.dispose();
