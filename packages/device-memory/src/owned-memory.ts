import { DisposedError, type MemoryHandle } from "@kv/native";
import type { Device } from "./device.ts";
import { wasDisposed } from "./leak-net.ts";
import { MemoryRegion } from "./memory-region.ts";
import { MemorySlice } from "./memory-slice.ts";

/** Memory that is given back when it is disposed, after the work that any stream has queued on it. */
export abstract class OwnedMemory extends MemoryRegion implements Disposable {
  readonly device: Device;
  readonly sizeBytes: number;
  readonly offsetBytes = 0;
  #handle: MemoryHandle | undefined;

  protected constructor(device: Device, sizeBytes: number, handle: MemoryHandle) {
    super();
    this.device = device;
    this.sizeBytes = sizeBytes;
    this.#handle = handle;
    device.adopt();
  }

  get isAllocated(): boolean {
    return this.#handle !== undefined;
  }

  /** @internal */
  get handle(): MemoryHandle {
    if (this.#handle === undefined) throw new DisposedError(`memory of ${this.sizeBytes} bytes on ${this.device.name}`);
    return this.#handle;
  }

  /** Part of this memory; it owns nothing. @throws OutOfBoundsError */
  slice(offsetBytes: number, sizeBytes: number = this.sizeBytes - offsetBytes): MemorySlice {
    return new MemorySlice(this, offsetBytes, sizeBytes);
  }

  /** Gives the memory back. Later calls do nothing. */
  dispose(): void {
    if (this.#handle === undefined) return;
    const handle = this.#handle;
    this.#handle = undefined;
    wasDisposed(this);
    this.giveBack(handle);
    this.device.disown();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  protected abstract giveBack(handle: MemoryHandle): void;
}
