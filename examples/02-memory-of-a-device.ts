// Allocates memory on the GPU, or on the host where there is none, and copies on a stream of its own.
import { openDevice, verifyVramResidency } from "@kv/device-memory";

using device = openDevice();
console.log(`${device.name}: ${device.properties.description}`);

using stream = device.createStream();
using pinned = device.allocatePinned(1024 * 1024);
using memory = device.allocate(1024 * 1024, { purpose: "intermediate_buffers", stream });
pinned.bytes.fill(42);

using start = stream.record();
memory.copyFrom(pinned, stream);
using end = stream.record();
await stream.synchronize();

const { isResident, address } = verifyVramResidency(memory);
console.log(`1 MiB at 0x${address.toString(16)}, resident: ${isResident}, copied in ${end.elapsedMsSince(start)} ms`);

const found = new Uint8Array(4);
await memory.slice(1000, 4).copyToHost(found);
console.log(found);
