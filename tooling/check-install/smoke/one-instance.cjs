// `require` and `import` in one process give the same classes, so that `instanceof` holds across both.
const assert = require("node:assert/strict");
const { DeviceMemory } = require("@kv/device-memory");

module.exports = import("@kv/device-memory").then((same) => assert.equal(same.DeviceMemory, DeviceMemory));
