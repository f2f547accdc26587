// The same packages by `require`, and the same classes as by `import`.
const assert = require("node:assert/strict");
const { DeviceMemory, openDevice } = require("@kv/device-memory");

const device = openDevice("host");
const memory = device.allocate(4096);
memory.fill(7);
const read = new Uint8Array(4096);
memory.copyToHostSync(read);
assert.ok(read.every((byte) => byte === 7));
memory.dispose();

assert.ok(memory instanceof DeviceMemory);
module.exports = import("@kv/device-memory").then((same) => assert.equal(same.DeviceMemory, DeviceMemory));
