import { type MemoryHandle, native } from "@kv/native";
import type { Device } from "./device.ts";
import { catchLeak, currentStack } from "./leak-net.ts";
import { OwnedMemory } from "./owned-memory.ts";

/**
 * Page-locked host memory, which a device copies to and from by itself. JavaScript reads and writes it through `bytes`;
 * after `dispose` those bytes have length 0.
 */
export class PinnedMemory extends OwnedMemory {
  readonly bytes: Uint8Array<ArrayBuffer>;

  private constructor(device: Device, handle: MemoryHandle, bytes: Uint8Array<ArrayBuffer>) {
    super(device, bytes.byteLength, handle);
    this.bytes = bytes;
  }

  /** @internal */
  static allocate(device: Device, sizeBytes: number, recordStack: boolean): PinnedMemory {
    const handle = native().allocate(device.handle, device.defaultStream.handle, sizeBytes, 1, "pinned", false);
    try {
      const bytes = new Uint8Array(native().pinnedBuffer(handle));
      bytes.fill(0);
      const memory = new PinnedMemory(device, handle, bytes);
      catchLeak(memory, {
        what: `${sizeBytes} pinned bytes of ${device.name}`,
        stack: recordStack ? currentStack() : undefined,
        release: () => native().release(handle),
      });
      return memory;
    } catch (error) {
      native().release(handle);
      throw error;
    }
  }

  protected giveBack(handle: MemoryHandle): void {
    native().releasePinned(handle, this.bytes.buffer);
  }
}
