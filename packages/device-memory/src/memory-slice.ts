import type { MemoryHandle } from "@kv/native";
import type { Device } from "./device.ts";
import { MemoryRegion, requireInside } from "./memory-region.ts";

/** Part of another region. Owns nothing: it can be used while the memory it lies in is allocated. */
export class MemorySlice extends MemoryRegion {
  readonly offsetBytes: number;
  readonly sizeBytes: number;
  readonly #owner: MemoryRegion;

  /** @throws OutOfBoundsError */
  constructor(of: MemoryRegion, offsetBytes: number, sizeBytes: number) {
    super();
    requireInside(offsetBytes, sizeBytes, of.sizeBytes);
    this.#owner = of instanceof MemorySlice ? of.#owner : of;
    this.offsetBytes = of.offsetBytes + offsetBytes;
    this.sizeBytes = sizeBytes;
  }

  get device(): Device {
    return this.#owner.device;
  }

  get isAllocated(): boolean {
    return this.#owner.isAllocated;
  }

  /** @internal */
  get handle(): MemoryHandle {
    return this.#owner.handle;
  }

  /** Part of this slice, `offsetBytes` from its start. */
  slice(offsetBytes: number, sizeBytes: number = this.sizeBytes - offsetBytes): MemorySlice {
    return new MemorySlice(this, offsetBytes, sizeBytes);
  }
}
