import {
  type DeviceHandle,
  type DeviceProperties,
  DisposedError,
  InvalidArgumentError,
  type MemoryInfo,
  native,
} from "@kv/native";
import type { Purpose, VramTracker } from "@kv/vram-tracker";
import { DeviceEvent } from "./device-event.ts";
import { DeviceMemory } from "./device-memory.ts";
import { Graph } from "./graph.ts";
import { catchLeak, wasDisposed } from "./leak-net.ts";
import { PinnedMemory } from "./pinned-memory.ts";
import { StagingBuffers } from "./staging-buffers.ts";
import { Stream } from "./stream.ts";

export interface AllocateOptions {
  /** What the memory is for, in the tracker's words. Default "unknown". */
  readonly purpose?: Purpose;
  /** Whose it is, and what it is, for the tracker's report. */
  readonly owner?: string;
  readonly description?: string;
  /** Where it is accounted for; its budgets can refuse the allocation. */
  readonly tracker?: VramTracker;
  /** A power of two. Default 256, which every allocation has without asking. */
  readonly alignment?: number;
  /** Set all bytes to zero first. Default true. */
  readonly zero?: boolean;
  /** From the device's pool (the default; fast once it holds memory) or straight from the driver. */
  readonly kind?: "pool" | "plain";
  /** The stream that allocates, zeroes and later frees. Default: the device's. */
  readonly stream?: Stream;
}

/**
 * An open device: a GPU, or the host with the same behaviour. Memory, streams and events made from it stay usable after
 * it is disposed, and are given back by themselves; it only makes no new ones.
 */
export class Device implements Disposable {
  readonly properties: DeviceProperties;
  /** Where work goes that names no stream. */
  readonly defaultStream: Stream;
  /** @internal */
  readonly staging: StagingBuffers;
  readonly #recordStacks: boolean;
  #handle: DeviceHandle | undefined;
  #numOwned = 0;

  /** @internal */
  constructor(handle: DeviceHandle, recordStacks: boolean) {
    this.#handle = handle;
    this.#recordStacks = recordStacks;
    this.properties = native().deviceProperties(handle);
    this.defaultStream = new Stream(this.properties.name, handle, native().defaultStream(handle), true);
    this.staging = new StagingBuffers(this);
    catchLeak(this, { what: `the device ${this.name}`, stack: undefined, release: () => native().release(handle) });
  }

  /** "host", "cuda:0" */
  get name(): string {
    return this.properties.name;
  }

  get kind(): "host" | "cuda" {
    return this.properties.kind;
  }

  get isOpen(): boolean {
    return this.#handle !== undefined;
  }

  /** @internal */
  get handle(): DeviceHandle {
    if (this.#handle === undefined) throw new DisposedError(`the device ${this.name}`);
    return this.#handle;
  }

  /** Free and total bytes, as the driver or the operating system says now. */
  memoryInfo(): MemoryInfo {
    return native().memoryInfo(this.handle);
  }

  /**
   * Allocates memory and queues its zeroing; usable at once on every stream. A text instead of options is its
   * description.
   * @throws OutOfMemoryError, BudgetExceededError, InvalidArgumentError
   */
  allocate(sizeBytes: number, options: AllocateOptions | string = {}): DeviceMemory {
    const given = typeof options === "string" ? { description: options } : options;
    return DeviceMemory.allocate(this, {
      sizeBytes,
      alignment: given.alignment ?? 256,
      kind: given.kind ?? "pool",
      zero: given.zero ?? true,
      purpose: given.purpose ?? "unknown",
      owner: given.owner,
      description: given.description,
      tracker: given.tracker,
      stream: given.stream ?? this.defaultStream,
      recordStack: this.#recordStacks,
    });
  }

  /** Page-locked, zeroed host memory, for copies at full speed. @throws OutOfMemoryError, CudaError */
  allocatePinned(sizeBytes: number): PinnedMemory {
    return PinnedMemory.allocate(this, sizeBytes, this.#recordStacks);
  }

  createStream(): Stream {
    return new Stream(this.name, this.handle, native().createStream(this.handle));
  }

  /** An event; without timing it is cheaper to record and wait for. */
  createEvent(options: { readonly timing?: boolean } = {}): DeviceEvent {
    return new DeviceEvent(native().createEvent(this.handle, options.timing ?? true));
  }

  /**
   * Runs `work` and captures in a graph, instead of doing it, what it gives to the stream, the device's default one
   * unless given: kernels, fills, and copies inside the device and to and from pinned memory. What a call works out on
   * the JavaScript side, such as a position that is a number, stays as it was in the capture. Work of other streams is
   * done as ever.
   * @throws CaptureError for what a graph cannot hold: allocating, waiting, events, JavaScript's memory, another capture
   * or replay on this stream; InvalidArgumentError if `work` is async; what `work` throws. There is no graph then, and
   * nothing of what was captured is done.
   */
  capture(work: (stream: Stream) => void, stream: Stream = this.defaultStream): Graph {
    this.handle; // throws once it is disposed
    const capture = native().beginCapture(stream.handle);
    try {
      requireSync(work(stream));
      return new Graph(native().endCapture(capture), stream);
    } finally {
      native().release(capture);
    }
  }

  /** Gives the driver back what the pool holds free beyond `keepBytes`. */
  trimPool(keepBytes = 0): void {
    native().trimPool(this.handle, keepBytes);
  }

  /** Closes the device. What was made from it is not touched. */
  dispose(): void {
    if (this.#handle === undefined) return;
    const handle = this.#handle;
    this.#handle = undefined;
    wasDisposed(this);
    this.staging.dispose();
    native().release(handle);
    this.#closeWhenLast();
  }

  /** @internal Counts memory that works on the default stream, also after the device was disposed. */
  adopt(): void {
    this.#numOwned++;
  }

  /** @internal */
  disown(): void {
    this.#numOwned--;
    this.#closeWhenLast();
  }

  #closeWhenLast(): void {
    if (!this.isOpen && this.#numOwned === 0) this.defaultStream.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** What comes after the first `await` would be done and not captured. */
function requireSync(returned: unknown): void {
  if (typeof (returned as PromiseLike<unknown> | undefined)?.then !== "function") return;
  // This error is the one to see, not what becomes of the promise.
  Promise.resolve(returned).catch(() => {});
  throw new InvalidArgumentError("work: is async; a graph captures only what is queued before it returns", "work");
}
