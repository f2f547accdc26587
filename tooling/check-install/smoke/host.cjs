// The same by `require`.
const assert = require("node:assert/strict");
const { openDevice } = require("@kv/device-memory");

const device = openDevice("host");
const memory = device.allocate(4096);
memory.fill(7);
const read = new Uint8Array(4096);
memory.copyToHostSync(read);
assert.ok(read.every((byte) => byte === 7));
memory.dispose();
device.dispose();
