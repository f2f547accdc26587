import { InvalidArgumentError, type MemoryHandle, native, OutOfBoundsError } from "@kv/native";
import { copyFromHostInPieces, copyToHostInPieces } from "./copy-in-pieces.ts";
import type { Device } from "./device.ts";
import type { Stream } from "./stream.ts";

/** Bytes of JavaScript: a typed array, a Buffer or a DataView, not resizable. */
export type HostBytes = ArrayBufferView;

/**
 * A range of memory and what can be done with it. DeviceMemory and PinnedMemory own theirs; a MemorySlice borrows.
 * Operations are queued on `stream`, the device's default one unless given, and return at once, except where the name
 * says Sync. Each checks its bounds before anything is queued.
 */
export abstract class MemoryRegion {
  abstract readonly device: Device;
  abstract readonly sizeBytes: number;
  /** Where the region starts in the allocation it lies in. */
  abstract readonly offsetBytes: number;
  /** Whether the memory is still there. */
  abstract readonly isAllocated: boolean;
  /**
   * @internal
   * @throws DisposedError
   */
  abstract readonly handle: MemoryHandle;

  /** The address on the device, for interop only. */
  get address(): bigint {
    return native().addressOf(this.handle) + BigInt(this.offsetBytes);
  }

  /** Sets every byte to zero. */
  zero(stream?: Stream): void {
    this.fill(0, stream);
  }

  /** Sets every byte to `value`, 0 to 255. */
  fill(value: number, stream?: Stream): void {
    native().fill(this.handle, this.offsetBytes, this.sizeBytes, value, this.#streamHandle(stream));
  }

  /**
   * Copies from another region of the same size, on a device of the same kind or pinned.
   * @throws InvalidArgumentError when the sizes or kinds of device differ, or the regions overlap
   */
  copyFrom(source: MemoryRegion, stream?: Stream): void {
    requireSameSize("source", source.sizeBytes, this.sizeBytes);
    const { handle, offsetBytes } = source;
    native().copy(this.handle, this.offsetBytes, handle, offsetBytes, this.sizeBytes, this.#streamHandle(stream));
  }

  /** Queues a copy of bytes of JavaScript, which may change as soon as this returns. Meant for small ones. */
  upload(source: HostBytes, stream?: Stream): void {
    requireSameSize("source", source.byteLength, this.sizeBytes);
    native().upload(this.handle, this.offsetBytes, source, this.#streamHandle(stream));
  }

  /**
   * Copies bytes of JavaScript here, piece by piece; resolves when they are here. The source must not change until then.
   * Work queued on the stream meanwhile may run between two pieces.
   */
  async copyFromHost(source: HostBytes, stream?: Stream): Promise<void> {
    requireSameSize("source", source.byteLength, this.sizeBytes);
    await copyFromHostInPieces(this, source, stream ?? this.device.defaultStream);
  }

  /** As `copyFromHost`, blocking the JavaScript thread. */
  copyFromHostSync(source: HostBytes, stream?: Stream): void {
    this.upload(source, stream);
    native().synchronizeSync(this.#streamHandle(stream));
  }

  /**
   * Copies to bytes of JavaScript, piece by piece; resolves when they are there. Work queued on the stream meanwhile may
   * run between two pieces.
   */
  async copyToHost(target: HostBytes, stream?: Stream): Promise<void> {
    requireSameSize("target", target.byteLength, this.sizeBytes);
    await copyToHostInPieces(this, target, stream ?? this.device.defaultStream);
  }

  /** As `copyToHost`, blocking the JavaScript thread. */
  copyToHostSync(target: HostBytes, stream?: Stream): void {
    requireSameSize("target", target.byteLength, this.sizeBytes);
    native().downloadSync(this.handle, this.offsetBytes, target, this.#streamHandle(stream));
  }

  #streamHandle(stream: Stream | undefined): Stream["handle"] {
    return (stream ?? this.device.defaultStream).handle;
  }
}

/** @throws OutOfBoundsError unless the range is whole, not negative and inside `sizeBytes` */
export function requireInside(offsetBytes: number, lengthBytes: number, sizeBytes: number): void {
  const isWhole = Number.isSafeInteger(offsetBytes) && Number.isSafeInteger(lengthBytes);
  if (isWhole && offsetBytes >= 0 && lengthBytes >= 0 && offsetBytes + lengthBytes <= sizeBytes) return;
  throw new OutOfBoundsError(
    `slice: ${lengthBytes} bytes at offset ${offsetBytes} do not fit in ${sizeBytes} bytes`,
    offsetBytes,
    lengthBytes,
    sizeBytes,
  );
}

function requireSameSize(argument: string, foundBytes: number, wantedBytes: number): void {
  if (foundBytes === wantedBytes) return;
  throw new InvalidArgumentError(
    `${argument}: has ${foundBytes} bytes, the region has ${wantedBytes}; take a slice or subarray of equal size`,
    argument,
  );
}
