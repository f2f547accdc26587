import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { AddonNotFoundError, type ErrorFields, makeError } from "./errors.ts";

export * from "./errors.ts";

// What is open in the addon is named by numbers; a number that was released is refused, never used again.
export type DeviceHandle = number & { readonly __device: never };
export type StreamHandle = number & { readonly __stream: never };
export type EventHandle = number & { readonly __event: never };
export type MemoryHandle = number & { readonly __memory: never };
export type ViewHandle = number & { readonly __view: never };
export type CaptureHandle = number & { readonly __capture: never };
export type GraphHandle = number & { readonly __graph: never };
export type Handle =
  | DeviceHandle
  | StreamHandle
  | EventHandle
  | MemoryHandle
  | ViewHandle
  | CaptureHandle
  | GraphHandle;

/** Where memory comes from: the device's pool, in the order of a stream; the driver; or page-locked host memory. */
export type MemoryKind = "pool" | "plain" | "pinned";

/** What a device is. Numbers that a host has not are 0, texts "". */
export interface DeviceProperties {
  /** "host", "cuda:0" */
  readonly name: string;
  readonly kind: "host" | "cuda";
  /** The maker's name: "NVIDIA H200" */
  readonly description: string;
  readonly totalBytes: number;
  readonly uuid: string;
  readonly pciBusId: string;
  /** 9 for sm_90, 8.6 for sm_86 */
  readonly computeCapability: number;
  readonly numMultiprocessors: number;
  readonly l2CacheBytes: number;
  /** The newest CUDA that the driver serves: 13000 means 13.0. */
  readonly driverVersion: number;
  readonly supportsPools: boolean;
}

/** Whether the NVIDIA driver can be used; if not, `message` says why and what to do. */
export interface CudaProbe {
  readonly isAvailable: boolean;
  readonly code: "" | "NO_DRIVER" | "DRIVER_TOO_OLD" | "CUDA_ERROR";
  readonly message: string;
}

/** What the driver (or the operating system) says is free and there; `poolHeldBytes` are held free in our pool. */
export interface MemoryInfo {
  readonly freeBytes: number;
  readonly totalBytes: number;
  readonly poolHeldBytes: number;
}

/** The keys or the values of a view: where a token's heads lie in memory. */
export interface PlaneDescription {
  readonly memory: MemoryHandle;
  readonly offsetBytes: number;
  /** From the offset on: every head must end inside. */
  readonly sizeBytes: number;
  readonly blockStrideBytes: number;
  readonly tokenStrideBytes: number;
  readonly headStrideBytes: number;
  /** head width times element bytes */
  readonly headBytes: number;
}

/** One layer of a cache, for the kernels. */
export interface ViewDescription {
  readonly keys: PlaneDescription;
  readonly values: PlaneDescription;
  readonly numBlocks: number;
  readonly tokensPerBlock: number;
  readonly numKvHeads: number;
}

/** A part of open memory, whose length follows from the shape of what is in it. */
export interface RegionDescription {
  readonly memory: MemoryHandle;
  readonly offsetBytes: number;
}

/** Types that the attention kernels compute on. */
export type AttentionDtype = "fp32" | "fp16" | "bf16";

/** How the host computes: by the fastest way that the processor has, or one of them by name, to test and compare. */
export type HostVariant = "fastest" | "reference" | "portable" | "avx2" | "avx512";

/** What decode and prefill attention have in common; null is: not given. */
export interface AttentionDescription {
  readonly batch: number;
  readonly numQueryHeads: number;
  readonly maxBlocks: number;
  /** 0: no window */
  readonly windowTokens: number;
  readonly softmaxScale: number;
  /** 0: none */
  readonly softCap: number;
  readonly cacheDtype: AttentionDtype;
  readonly queryDtype: AttentionDtype;
  readonly outputDtype: AttentionDtype;
  readonly query: RegionDescription;
  readonly output: RegionDescription;
  readonly logSumExp: RegionDescription | null;
  readonly blockTables: RegionDescription | null;
  readonly sinks: RegionDescription | null;
  readonly batchInvariant: boolean;
  readonly hostVariant: HostVariant;
}

/** Shapes as in DecodeAttentionParams. */
export interface DecodeAttentionDescription extends AttentionDescription {
  readonly queryLength: number;
  readonly sequenceLengths: RegionDescription | number;
  readonly alibiSlopes: RegionDescription | null;
  readonly queryMasks: RegionDescription | null;
}

/** Shapes as in PrefillAttentionParams. */
export interface PrefillAttentionDescription extends AttentionDescription {
  readonly numQueryTokens: number;
  readonly queryOffsets: RegionDescription;
  readonly sequenceLengths: RegionDescription;
}

/** Which two elements of a head turn together: i and i + width / 2, or 2 i and 2 i + 1. */
export type RotaryStyle = "half-split" | "interleaved";

/** Shapes as in AppendRotaryParams; null is: not given. One of `inverseFrequencies` and `cosinesAndSines` is given. */
export interface AppendRotaryDescription {
  readonly numTokens: number;
  readonly cacheDtype: AttentionDtype;
  readonly queryDtype: AttentionDtype;
  readonly style: RotaryStyle;
  readonly width: number;
  readonly scaling: number;
  readonly numQueryHeads: number;
  /** Rows of the table; without a table it is not looked at. */
  readonly numPositions: number;
  readonly keys: RegionDescription | null;
  readonly values: RegionDescription | null;
  readonly slots: RegionDescription | number;
  readonly positions: RegionDescription | number;
  readonly inverseFrequencies: RegionDescription | null;
  readonly cosinesAndSines: RegionDescription | null;
  readonly query: RegionDescription | null;
  readonly rotatedQuery: RegionDescription | null;
}

/** Shapes as in MergeAttentionParams. */
export interface MergeAttentionDescription {
  readonly numRows: number;
  readonly numParts: number;
  readonly width: number;
  readonly partDtype: AttentionDtype;
  readonly outputDtype: AttentionDtype;
  readonly parts: RegionDescription;
  readonly logSumExps: RegionDescription;
  readonly output: RegionDescription;
  readonly logSumExp: RegionDescription | null;
}

/**
 * The whole surface of the addon. Every argument is checked there; a failure is one of the errors of this package and
 * leaves everything as it was. What takes a stream is queued on it and returns at once, except where the name says Sync.
 */
export interface Native {
  setErrorFactory(makeError: (code: string, message: string, fields: ErrorFields) => Error): void;
  /** Which kernels are inside: "nvcc 13.0.88" (machine code and PTX) or "ptx". */
  kernelSource(): string;
  /**
   * Releases what a handle names: memory after the work queued on it, a capture without a graph of it. False when it was
   * released before.
   */
  release(handle: Handle): boolean;

  probeCuda(): CudaProbe;
  listDevices(): DeviceProperties[];
  openDevice(name: string, poolReleaseThresholdBytes: number): DeviceHandle;
  deviceProperties(device: DeviceHandle): DeviceProperties;
  memoryInfo(device: DeviceHandle): MemoryInfo;
  trimPool(device: DeviceHandle, keepBytes: number): void;

  defaultStream(device: DeviceHandle): StreamHandle;
  createStream(device: DeviceHandle): StreamHandle;
  synchronizeSync(stream: StreamHandle): void;
  /** Resolves when all that was queued so far is done; rejects with what went wrong in it. */
  whenDone(stream: StreamHandle): Promise<void>;
  isIdle(stream: StreamHandle): boolean;

  /**
   * Until the capture is ended or released, fills, copies and kernels that are given to the stream are recorded instead
   * of queued. What waits, allocates or goes through JavaScript's memory is a CaptureError there.
   */
  beginCapture(stream: StreamHandle): CaptureHandle;
  isCapturing(stream: StreamHandle): boolean;
  /** Releases the capture, also when it throws. */
  endCapture(capture: CaptureHandle): GraphHandle;
  /** Queues what was captured, behind the graph's last replay; a DisposedError when memory that it uses was released. */
  replayGraph(graph: GraphHandle, stream: StreamHandle): void;

  createEvent(device: DeviceHandle, withTiming: boolean): EventHandle;
  recordEvent(stream: StreamHandle, event: EventHandle): void;
  waitForEvent(stream: StreamHandle, event: EventHandle): void;
  isEventDone(event: EventHandle): boolean;
  synchronizeEventSync(event: EventHandle): void;
  elapsedMs(later: EventHandle, earlier: EventHandle): number;

  allocate(
    device: DeviceHandle,
    stream: StreamHandle,
    sizeBytes: number,
    alignment: number,
    kind: MemoryKind,
    zero: boolean,
  ): MemoryHandle;
  addressOf(memory: MemoryHandle): bigint;
  /** Whether the driver (or the operating system) says that the first and last byte are where they should be. */
  isResident(memory: MemoryHandle): boolean;
  /** Tells V8 that bytes outside its heap hang on its objects. */
  adjustExternalMemory(deltaBytes: number): void;
  pinnedBuffer(memory: MemoryHandle): ArrayBuffer;
  /** Releases pinned memory; its ArrayBuffer is detached first. */
  releasePinned(memory: MemoryHandle, buffer: ArrayBuffer): void;
  fill(memory: MemoryHandle, offsetBytes: number, lengthBytes: number, value: number, stream: StreamHandle): void;
  copy(
    to: MemoryHandle,
    toOffsetBytes: number,
    from: MemoryHandle,
    fromOffsetBytes: number,
    lengthBytes: number,
    stream: StreamHandle,
  ): void;
  /** Copies from JavaScript's memory, which may change as soon as this returns. */
  upload(memory: MemoryHandle, offsetBytes: number, source: ArrayBufferView, stream: StreamHandle): void;
  downloadSync(memory: MemoryHandle, offsetBytes: number, target: ArrayBufferView, stream: StreamHandle): void;

  createView(view: ViewDescription): ViewHandle;
  /** Without a slot mapping the tokens go to the slots from `firstSlot` on. */
  append(
    view: ViewHandle,
    keys: MemoryHandle,
    keysOffsetBytes: number,
    values: MemoryHandle,
    valuesOffsetBytes: number,
    slots: MemoryHandle | null,
    slotsOffsetBytes: number,
    firstSlot: number,
    numTokens: number,
    stream: StreamHandle,
  ): void;
  appendRotary(view: ViewHandle, input: AppendRotaryDescription, stream: StreamHandle): void;
  /** pairs: from, to, from, to, … */
  copyBlocks(view: ViewHandle, pairs: Int32Array, stream: StreamHandle): void;
  /** Copies blocks one behind the other into `packed`, each its keys [token, head, element] and then its values. */
  gatherBlocks(
    view: ViewHandle,
    blocks: Int32Array,
    packed: MemoryHandle,
    packedOffsetBytes: number,
    stream: StreamHandle,
  ): void;
  /** The way back. */
  scatterBlocks(
    view: ViewHandle,
    blocks: Int32Array,
    packed: MemoryHandle,
    packedOffsetBytes: number,
    stream: StreamHandle,
  ): void;
  /**
   * Looks for a 32-bit word in so many bytes and sets `found` to 1 where it is: it needs every byte and writes none of
   * them, so that benchmarks know what reading costs.
   */
  readMemory(
    memory: MemoryHandle,
    offsetBytes: number,
    lengthBytes: number,
    word: number,
    found: MemoryHandle,
    foundOffsetBytes: number,
    stream: StreamHandle,
  ): void;
  decodeAttention(view: ViewHandle, input: DecodeAttentionDescription, stream: StreamHandle): void;
  prefillAttention(view: ViewHandle, input: PrefillAttentionDescription, stream: StreamHandle): void;
  mergeAttention(input: MergeAttentionDescription, stream: StreamHandle): void;
}

let loaded: Native | undefined;

/**
 * The addon, loaded at the first call: from `build/Release` where it was built, else from `prebuilds`.
 * @throws AddonNotFoundError
 */
export function native(): Native {
  loaded ??= load();
  return loaded;
}

/** The host, and every CUDA device that the driver shows. */
export function listDevices(): DeviceProperties[] {
  return native().listDevices();
}

function load(): Native {
  // This file stands in dist/ when built, and the addon's folders beside that.
  const root = path.join(path.dirname(fileURLToPath(import.meta.url)), "..");
  const require = createRequire(import.meta.url);
  const platform = `${process.platform}-${process.arch}, Node ${process.versions.node}`;
  try {
    const loadPrebuild = require("pkg-prebuilds") as (folder: string, options: object) => Native;
    const addon = loadPrebuild(root, { name: "kv_native", napi_versions: [8] });
    addon.setErrorFactory(makeError);
    return addon;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.split("\n")[0] : String(cause);
    throw new AddonNotFoundError(
      `the addon kv_native.node could not be loaded for ${platform}: looked in ${path.join(root, "build", "Release")} and ` +
        `${path.join(root, "prebuilds")} (${reason}). In an installed package: npm install @kv/native on this platform, ` +
        "or build it there. In a clone: install cmake and a C++20 compiler (apt-get install -y cmake g++), then pnpm build",
      platform,
      { cause },
    );
  }
}
