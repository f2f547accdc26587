import type { Device, DeviceMemory } from "@kv/device-memory";

const CALLS_PER_GROUP = 10;
const WARM_UP_MS = 100;
const HOLD_BYTES = 512 * 1024 ** 2;
// Work that waits for the stream to take it can never be queued whole.
const MOST_FILLS = 128;

/**
 * Times work on the device's own clock. On a GPU the work waits behind fills until all of it is queued, so that the time
 * between two launches of the host does not count.
 */
export class DeviceClock implements Disposable {
  readonly #device: Device;
  readonly #hold: DeviceMemory | undefined;

  constructor(device: Device) {
    this.#device = device;
    this.#hold = device.kind === "cuda" ? device.allocate(HOLD_BYTES) : undefined;
  }

  /** The median of one call, over so many groups that are queued whole, once the device has worked for a while. */
  microsecondsOf(queue: (call: number) => void, numGroups = 10): number {
    const callsPerGroup = this.#hold === undefined ? 1 : CALLS_PER_GROUP;
    let call = 0;
    const group = (): void => {
      for (let i = 0; i < callsPerGroup; i++) queue(call++);
    };
    const begin = performance.now();
    do {
      group();
      this.#device.defaultStream.synchronizeSync();
    } while (performance.now() - begin < WARM_UP_MS);
    const timesUs = Array.from({ length: numGroups }, () => this.#time(group) / callsPerGroup).sort((a, b) => a - b);
    return timesUs[numGroups >> 1] as number;
  }

  [Symbol.dispose](): void {
    this.#hold?.dispose();
  }

  #time(queueGroup: () => void): number {
    const { defaultStream } = this.#device;
    using start = this.#device.createEvent();
    using end = this.#device.createEvent();
    for (let numFills = 4; ; numFills *= 2) {
      for (let i = 0; i < numFills; i++) this.#hold?.fill(i);
      defaultStream.record(start);
      queueGroup();
      defaultStream.record(end);
      const wasHeld = this.#hold === undefined || !start.isDone;
      defaultStream.synchronizeSync();
      // Where the host took longer than the fills, the group is queued again behind more of them.
      if (wasHeld || numFills >= MOST_FILLS) return end.elapsedMsSince(start) * 1000;
    }
  }
}
