import type { Device, DeviceMemory } from "@kv/device-memory";

const ELEMENT_BYTES = 2;

/** Memory with bf16 numbers of both signs, from 0.5 to 2: zeros would take less power than real ones. */
export function bf16Numbers(device: Device, bytes: number): DeviceMemory {
  const memory = device.allocate(bytes);
  const pattern = new Uint16Array(Math.min(bytes, 8 * 1024 ** 2) / ELEMENT_BYTES);
  let state = 1;
  for (let i = 0; i < pattern.length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    pattern[i] = 0x3f00 | (state >>> 25) | ((state & 0x8000) >>> 0);
  }
  memory.slice(0, pattern.byteLength).upload(pattern);
  for (let done = pattern.byteLength; done < bytes; ) {
    const part = Math.min(done, bytes - done);
    memory.slice(done, part).copyFrom(memory.slice(0, part));
    done += part;
  }
  device.defaultStream.synchronizeSync();
  return memory;
}
