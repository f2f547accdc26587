import type { Device } from "./device.ts";
import type { PinnedMemory } from "./pinned-memory.ts";

/** Bytes of one piece: large enough that a copy runs at full speed, small enough to read without a noticeable pause. */
export const PIECE_BYTES: number = 4 * 1024 * 1024;
// A copy behind other work has one at a time; further copies wait for theirs.
const MAX_BUFFERS = 4;

/** Pinned buffers of a device that copies to JavaScript behind other work go through; made when first needed. */
export class StagingBuffers implements Disposable {
  readonly #device: Device;
  readonly #idle: PinnedMemory[] = [];
  readonly #waiting: ((buffer: PinnedMemory) => void)[] = [];
  #numBuffers = 0;
  #isDisposed: boolean = false;

  constructor(device: Device) {
    this.#device = device;
  }

  /** A buffer of PIECE_BYTES, once one is free; it must come back through `release`. */
  async acquire(): Promise<PinnedMemory> {
    const idle = this.#idle.pop();
    if (idle !== undefined) return idle;
    if (this.#numBuffers === MAX_BUFFERS) return new Promise((resolve) => this.#waiting.push(resolve));
    const buffer = this.#device.allocatePinned(PIECE_BYTES);
    this.#numBuffers++;
    return buffer;
  }

  release(buffer: PinnedMemory): void {
    const next = this.#waiting.shift();
    if (next !== undefined) next(buffer);
    else if (this.#isDisposed) buffer.dispose();
    else this.#idle.push(buffer);
  }

  /** Gives back the idle buffers; those in use follow when they are released. */
  dispose(): void {
    this.#isDisposed = true;
    for (const buffer of this.#idle.splice(0)) buffer.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
