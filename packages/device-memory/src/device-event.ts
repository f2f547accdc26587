import { DisposedError, type EventHandle, native } from "@kv/native";
import { catchLeak, wasDisposed } from "./leak-net.ts";

/** A point in the order of a stream, with the time at which it was reached. */
export class DeviceEvent implements Disposable {
  #handle: EventHandle | undefined;

  /** @internal */
  constructor(handle: EventHandle) {
    this.#handle = handle;
    catchLeak(this, { what: "an event", stack: undefined, release: () => native().release(handle) });
  }

  /** @internal */
  get handle(): EventHandle {
    if (this.#handle === undefined) throw new DisposedError("the event");
    return this.#handle;
  }

  /** Whether its last record was reached; true before the first. */
  get isDone(): boolean {
    return native().isEventDone(this.handle);
  }

  /** Blocks the JavaScript thread until its last record is reached. */
  synchronizeSync(): void {
    native().synchronizeEventSync(this.handle);
  }

  /** Milliseconds between two events that were both recorded and reached, on the device's clock. */
  elapsedMsSince(earlier: DeviceEvent): number {
    return native().elapsedMs(this.handle, earlier.handle);
  }

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
