// What a user does first, on the host: a cache and a buffer, filled, read, accounted for and given back.
import assert from "node:assert/strict";
import { KVCache } from "@kv/cache";
import { availableDevices, openDevice } from "@kv/device-memory";
import { VramTracker } from "@kv/vram-tracker";

assert.equal(availableDevices()[0], "host");
const tracker = new VramTracker();
const device = openDevice("host");
const config = { numLayers: 2, maxContextLength: 128, numKvHeads: 1, headDim: 64 };
const cache = KVCache.allocate(device, config, { tracker });
assert.equal(cache.sizeBytes, 65_536);

const memory = device.allocate(4096, { tracker, purpose: "intermediate_buffers" });
assert.equal(tracker.totalUsage, 65_536 + 4096);
const written = new Uint8Array(4096).map((_, index) => index % 251);
const read = new Uint8Array(4096).fill(255);
memory.copyToHostSync(read);
assert.ok(read.every((byte) => byte === 0));
await memory.copyFromHost(written);
memory.copyToHostSync(read);
assert.deepEqual(read, written);

memory.dispose();
cache.dispose();
device.dispose();
assert.equal(tracker.totalUsage, 0);
