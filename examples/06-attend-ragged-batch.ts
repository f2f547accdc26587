// Sequences of different lengths in one paged cache: prompts of which two share a beginning, then tokens of all of them.
import { PagedKVCache } from "@kv/cache";
import { openDevice } from "@kv/device-memory";

const [numLayers, numQueryHeads, numKvHeads, headDim] = [4, 8, 2, 64];
using device = openDevice();
using cache = PagedKVCache.allocate(device, { numLayers, numKvHeads, headDim, dtype: "bf16", numBlocks: 128 });
using batch = cache.createBatch({ maxSequences: 8, maxTokens: 512, maxBlocksPerSequence: 32 });
const bytesPerHead = headDim * 2;

/** One step of the model's attention: all layers, all sequences, whatever each of them has new. */
function step(sequences: Parameters<typeof batch.prepare>[0]): string {
  batch.prepare(sequences); // tables, slots, positions and lengths: one copy
  using q = device.allocate(batch.numTokens * numQueryHeads * bytesPerHead);
  using k = device.allocate(batch.numTokens * numKvHeads * bytesPerHead);
  using v = device.allocate(batch.numTokens * numKvHeads * bytesPerHead);
  using output = device.allocate(q.sizeBytes);
  for (let layer = 0; layer < numLayers; layer++) cache.attend(layer, batch, { q, k, v, output, numQueryHeads });
  const told = `${batch.numTokens} new tokens of ${batch.numSequences} sequences`;
  batch.commit();
  return told;
}

const shared = Array.from({ length: 64 }, (_, token) => token);
const first = cache.createSequence([...shared, 1001, 1002]);
console.log(step([first]));
const others = [cache.createSequence([...shared, 2001]), cache.createSequence([3001, 3002, 3003])];
console.log(step(others), `after ${others[0]?.reusedTokens} reused ones`);
for (const token of [1, 2, 3]) {
  for (const sequence of [first, ...others]) sequence.appendToken(token);
  console.log(step([first, ...others]));
}
await device.defaultStream.synchronize();
for (const sequence of [first, ...others]) sequence.dispose();
