import { type DeviceHandle, DisposedError, native, type StreamHandle } from "@kv/native";
import { DeviceEvent } from "./device-event.ts";
import { catchLeak, wasDisposed } from "./leak-net.ts";

/**
 * Work in order on a device, off the JavaScript thread. Work of different streams is not ordered, except that memory is
 * usable on every stream as soon as it is allocated, and is freed after the work of every stream that used it.
 */
export class Stream implements Disposable {
  readonly deviceName: string;
  #handle: StreamHandle | undefined;
  readonly #device: DeviceHandle;

  /** @internal */
  constructor(deviceName: string, device: DeviceHandle, handle: StreamHandle, isDefault = false) {
    this.deviceName = deviceName;
    this.#device = device;
    this.#handle = handle;
    // Memory that outlives its device still works on the device's own stream, so the device disposes of that.
    const what = isDefault ? undefined : `a stream of ${deviceName}`;
    catchLeak(this, { what, stack: undefined, release: () => native().release(handle) });
  }

  /** @internal */
  get handle(): StreamHandle {
    if (this.#handle === undefined) throw new DisposedError(`the stream of ${this.deviceName}`);
    return this.#handle;
  }

  /** Whether all that was queued is done. */
  get isIdle(): boolean {
    return native().isIdle(this.handle);
  }

  /** Whether `Device.capture` is keeping what it is given for a graph. To wait, or to record an event, is a CaptureError then. */
  get isCapturing(): boolean {
    return native().isCapturing(this.handle);
  }

  /** Marks this point of the stream in an event: a new one, or one to use again. */
  record(event?: DeviceEvent): DeviceEvent {
    const handle = this.handle;
    const recorded = event ?? new DeviceEvent(native().createEvent(this.#device, true));
    try {
      native().recordEvent(handle, recorded.handle);
    } catch (error) {
      if (event === undefined) recorded.dispose();
      throw error;
    }
    return recorded;
  }

  /** What is queued from now on runs after the event's last record. */
  wait(event: DeviceEvent): void {
    native().waitForEvent(this.handle, event.handle);
  }

  /**
   * Resolves when all that was queued so far is done; rejects with what went wrong in it.
   * @throws DisposedError
   */
  synchronize(): Promise<void> {
    return native().whenDone(this.handle);
  }

  /** As `synchronize`, blocking the JavaScript thread. */
  synchronizeSync(): void {
    native().synchronizeSync(this.handle);
  }

  /** Gives the stream back; what is queued on it still runs. */
  dispose(): void {
    if (this.#handle === undefined) return;
    wasDisposed(this);
    native().release(this.#handle);
    this.#handle = undefined;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
