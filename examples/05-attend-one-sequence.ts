// Prefills a prompt and decodes after it, with rotary embedding: one call a layer, one cache for one sequence.
import { KVCache } from "@kv/cache";
import { openDevice } from "@kv/device-memory";

const [numLayers, numQueryHeads, numKvHeads, headDim] = [4, 14, 2, 64];
using device = openDevice();
using cache = KVCache.allocate(device, { numLayers, maxContextLength: 512, numKvHeads, headDim, dtype: "fp32" });
using inverseFrequencies = device.allocate((headDim / 2) * 4);
inverseFrequencies.upload(Float32Array.from({ length: headDim / 2 }, (_, i) => 1e6 ** ((-2 * i) / headDim)));
const rotary = { style: "half-split", inverseFrequencies } as const;

/** What a layer's projection would have computed: [numTokens, numHeads, headDim]. */
function projected(numTokens: number, numHeads: number): Float32Array {
  return Float32Array.from({ length: numTokens * numHeads * headDim }, (_, i) => Math.sin(i + numHeads));
}

for (const numTokens of [100, 1, 1, 1]) {
  const bytesPerHead = numTokens * headDim * 4;
  using q = device.allocate(numQueryHeads * bytesPerHead);
  using k = device.allocate(numKvHeads * bytesPerHead);
  using v = device.allocate(numKvHeads * bytesPerHead);
  using output = device.allocate(q.sizeBytes);
  for (let layer = 0; layer < numLayers; layer++) {
    q.upload(projected(numTokens, numQueryHeads)); // `attend` rotates it in its place
    k.upload(projected(numTokens, numKvHeads));
    v.upload(projected(numTokens, numKvHeads));
    cache.attend(layer, { q, k, v, output, numQueryHeads, rotary });
  }
  cache.advancePosition(numTokens);
  const attended = new Float32Array(output.sizeBytes / 4);
  await output.copyToHost(attended);
  console.log(`${numTokens} new of ${cache.position} tokens: ${attended.slice(-3).join(", ")}`);
}
