import { DisposedError, type GraphHandle, native } from "@kv/native";
import { catchLeak, wasDisposed } from "./leak-net.ts";
import type { Stream } from "./stream.ts";

/**
 * Work that was captured by `Device.capture`, to be queued again and again at the cost of one call. It works on the same
 * memory each time, and owns none of it: once some was disposed, `replay` throws.
 */
export class Graph implements Disposable {
  readonly deviceName: string;
  readonly #stream: Stream;
  #handle: GraphHandle | undefined;

  /** @internal */
  constructor(handle: GraphHandle, stream: Stream) {
    this.deviceName = stream.deviceName;
    this.#stream = stream;
    this.#handle = handle;
    const what = `a graph of ${this.deviceName}`;
    catchLeak(this, { what, stack: undefined, release: () => native().release(handle) });
  }

  /**
   * Queues all of the captured work, on the stream it was captured from unless another of its device is given. It runs
   * behind what was queued there, and behind the last replay of this graph wherever that was.
   * @throws DisposedError when memory that it uses was disposed; CaptureError while the stream is being captured
   */
  replay(stream: Stream = this.#stream): void {
    if (this.#handle === undefined) throw new DisposedError(`the graph of ${this.deviceName}`);
    native().replayGraph(this.#handle, stream.handle);
  }

  /** Gives the graph back; replays that are queued still run. Later calls do nothing. */
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
