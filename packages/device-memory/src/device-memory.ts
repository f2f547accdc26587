import { type MemoryHandle, type MemoryKind, native } from "@kv/native";
import type { Purpose, VramTracker } from "@kv/vram-tracker";
import type { Device } from "./device.ts";
import { adjustExternalMemory } from "./external-memory.ts";
import { catchLeak, currentStack } from "./leak-net.ts";
import { OwnedMemory } from "./owned-memory.ts";
import type { Stream } from "./stream.ts";

/** All that `Device.allocate` decides on. @internal */
export interface Allocation {
  readonly sizeBytes: number;
  readonly alignment: number;
  readonly kind: Exclude<MemoryKind, "pinned">;
  readonly zero: boolean;
  readonly purpose: Purpose;
  readonly owner: string | undefined;
  readonly description: string | undefined;
  readonly tracker: VramTracker | undefined;
  readonly stream: Stream;
  readonly recordStack: boolean;
}

/** Memory of a device, made by `Device.allocate` and given back when it is disposed. */
export class DeviceMemory extends OwnedMemory {
  readonly purpose: Purpose;
  readonly #address: bigint;
  readonly #tracker: VramTracker | undefined;

  private constructor(device: Device, handle: MemoryHandle, address: bigint, allocation: Allocation) {
    super(device, allocation.sizeBytes, handle);
    this.purpose = allocation.purpose;
    this.#address = address;
    this.#tracker = allocation.tracker;
  }

  /** @internal */
  static allocate(device: Device, allocation: Allocation): DeviceMemory {
    const { sizeBytes, purpose, tracker } = allocation;
    tracker?.checkBudget({ device: device.name, purpose, sizeBytes });
    const handle = native().allocate(
      device.handle,
      allocation.stream.handle,
      sizeBytes,
      allocation.alignment,
      allocation.kind,
      allocation.zero,
    );
    const address = native().addressOf(handle);
    try {
      tracker?.recordAllocation({
        device: device.name,
        address,
        sizeBytes,
        purpose,
        ...(allocation.owner === undefined ? {} : { owner: allocation.owner }),
        ...(allocation.description === undefined ? {} : { description: allocation.description }),
      });
    } catch (error) {
      native().release(handle);
      throw error;
    }
    adjustExternalMemory(sizeBytes);
    const memory = new DeviceMemory(device, handle, address, allocation);
    catchLeak(memory, caughtMemory(device.name, handle, address, allocation));
    return memory;
  }

  override get address(): bigint {
    this.handle; // throws once it is disposed
    return this.#address;
  }

  /** The specification's name for `dispose`. */
  release(): void {
    this.dispose();
  }

  protected giveBack(handle: MemoryHandle): void {
    native().release(handle);
    adjustExternalMemory(-this.sizeBytes);
    this.#tracker?.recordFree({ device: this.device.name, address: this.#address });
  }
}

function caughtMemory(deviceName: string, handle: MemoryHandle, address: bigint, allocation: Allocation) {
  const { sizeBytes, purpose, tracker } = allocation;
  return {
    what: `${sizeBytes} bytes of ${purpose} on ${deviceName}`,
    stack: allocation.recordStack ? currentStack() : undefined,
    release: () => {
      native().release(handle);
      adjustExternalMemory(-sizeBytes);
      tracker?.recordLeak({ device: deviceName, address });
    },
  };
}
