// Plans, allocates and fills the cache of a model: a prompt, then tokens one by one.
import { KVCache } from "@kv/cache";
import { bytesPerToken, calculateSize, formatBytes } from "@kv/config";
import { openDevice } from "@kv/device-memory";
import { VramTracker } from "@kv/vram-tracker";

const config = { numLayers: 24, maxContextLength: 2048, numKvHeads: 2, headDim: 64, dtype: "bf16" } as const;
console.log(`planned: ${formatBytes(calculateSize(config))}, ${formatBytes(bytesPerToken(config))} a token`);

const tracker = new VramTracker();
using device = openDevice();
using cache = KVCache.allocate(device, config, { tracker, owner: "conversation 1" });
console.log(`allocated and tracked: ${cache.sizeBytes === tracker.totalUsage}`);

/** What the model's layers would have computed: keys and values [numTokens, numKvHeads, headDim]. */
function projected(numTokens: number): Uint16Array {
  return new Uint16Array(numTokens * config.numKvHeads * config.headDim).fill(0x3f80); // 1.0 in bf16
}

for (const numTokens of [12, 1, 1, 1]) {
  for (let layer = 0; layer < config.numLayers; layer++) {
    cache.append(layer, { keys: projected(numTokens), values: projected(numTokens) });
  }
  cache.advancePosition(numTokens);
}
await device.defaultStream.synchronize();
console.log(`${cache.position} tokens held, room for ${cache.remainingCapacity} more`);
console.log(tracker.usageReport());
