import type {
  AppendRotaryDescription,
  AttentionDescription,
  CaptureHandle,
  DecodeAttentionDescription,
  DeviceHandle,
  EventHandle,
  GraphHandle,
  MemoryHandle,
  MergeAttentionDescription,
  Native,
  PrefillAttentionDescription,
  StreamHandle,
  ViewHandle,
} from "../index.ts";
import { built } from "./addon.ts";

/** Bytes of each memory that is open. */
export const MEMORY_BYTES = 4096;

/** One of each kind that the addon names by a number, on one device, and one of each that was released. */
export class OpenResources {
  readonly device: DeviceHandle;
  readonly stream: StreamHandle;
  readonly event: EventHandle;
  readonly earlierEvent: EventHandle;
  readonly memory: MemoryHandle;
  readonly otherMemory: MemoryHandle;
  readonly pinned: MemoryHandle;
  readonly pinnedWithBuffer: MemoryHandle;
  readonly buffer: ArrayBuffer;
  readonly view: ViewHandle;
  readonly capturedStream: StreamHandle;
  readonly capture: CaptureHandle;
  readonly graph: GraphHandle;

  constructor(deviceName: string) {
    const native = built.native();
    this.device = native.openDevice(deviceName, 0);
    this.stream = native.createStream(this.device);
    this.event = native.createEvent(this.device, true);
    this.earlierEvent = native.createEvent(this.device, true);
    native.recordEvent(this.stream, this.earlierEvent);
    native.recordEvent(this.stream, this.event);
    native.synchronizeSync(this.stream);
    const allocate = (kind: "pool" | "pinned") =>
      native.allocate(this.device, this.stream, MEMORY_BYTES, 256, kind, true);
    this.memory = allocate("pool");
    this.otherMemory = allocate("pool");
    this.pinned = allocate("pinned");
    this.pinnedWithBuffer = allocate("pinned");
    this.buffer = native.pinnedBuffer(this.pinnedWithBuffer);
    this.view = native.createView(viewOf(this.memory));
    const graph = native.beginCapture(this.stream);
    native.fill(this.otherMemory, 0, MEMORY_BYTES, 1, this.stream);
    this.graph = native.endCapture(graph);
    this.capturedStream = native.createStream(this.device);
    this.capture = native.beginCapture(this.capturedStream);
    native.fill(this.otherMemory, 0, MEMORY_BYTES, 2, this.capturedStream);
  }

  get handles(): number[] {
    return Object.values(this).filter((value): value is number => typeof value === "number");
  }

  /** What a handle names: "stream", "memory", … */
  kindOf(handle: number): string | undefined {
    const name = Object.entries(this).find(([, value]) => value === handle)?.[0];
    return name
      ?.replace(/^earlierEvent$/, "event")
      .replace(/^(otherMemory|pinned.*)$/, "memory")
      .replace("capturedStream", "stream");
  }

  close(): void {
    for (const handle of this.handles) built.native().release(handle as DeviceHandle);
  }
}

/** Four blocks of four tokens of two heads of 16 bytes: keys in the first half of the memory, values in the second. */
export function viewOf(memory: MemoryHandle): Parameters<Native["createView"]>[0] {
  const plane = (offsetBytes: number) => ({
    memory,
    offsetBytes,
    sizeBytes: MEMORY_BYTES / 2,
    blockStrideBytes: 128,
    tokenStrideBytes: 32,
    headStrideBytes: 16,
    headBytes: 16,
  });
  return { keys: plane(0), values: plane(MEMORY_BYTES / 2), numBlocks: 4, tokensPerBlock: 4, numKvHeads: 2 };
}

/** One sequence, of which the view has the keys and values as eight fp16 numbers. */
function attentionInput(open: OpenResources): AttentionDescription {
  return {
    batch: 1,
    numQueryHeads: 2,
    maxBlocks: 1,
    windowTokens: 0,
    softmaxScale: 0.5,
    softCap: 0,
    cacheDtype: "fp16",
    queryDtype: "fp16",
    outputDtype: "fp16",
    query: { memory: open.otherMemory, offsetBytes: 0 },
    output: { memory: open.otherMemory, offsetBytes: 1024 },
    logSumExp: { memory: open.otherMemory, offsetBytes: 2048 },
    blockTables: null,
    sinks: null,
    batchInvariant: false,
    hostVariant: "fastest",
  };
}

/** One query token, after four tokens. */
function decodeInput(open: OpenResources): DecodeAttentionDescription {
  return { ...attentionInput(open), queryLength: 1, sequenceLengths: 4, alibiSlopes: null, queryMasks: null };
}

/** Two query tokens, of which the offsets give none to the sequence. */
function prefillInput(open: OpenResources): PrefillAttentionDescription {
  return {
    ...attentionInput(open),
    numQueryTokens: 2,
    queryOffsets: { memory: open.pinned, offsetBytes: 0 },
    sequenceLengths: { memory: open.pinned, offsetBytes: 64 },
  };
}

/** Four tokens of two heads of eight fp16 numbers, and a query of as many. */
function rotaryInput(open: OpenResources): AppendRotaryDescription {
  return {
    numTokens: 4,
    cacheDtype: "fp16",
    queryDtype: "fp16",
    style: "half-split",
    width: 4,
    scaling: 1,
    numQueryHeads: 2,
    numPositions: 0,
    keys: { memory: open.otherMemory, offsetBytes: 0 },
    values: { memory: open.otherMemory, offsetBytes: 128 },
    slots: { memory: open.pinned, offsetBytes: 256 },
    positions: 7,
    inverseFrequencies: { memory: open.otherMemory, offsetBytes: 256 },
    cosinesAndSines: null,
    query: { memory: open.otherMemory, offsetBytes: 512 },
    rotatedQuery: { memory: open.otherMemory, offsetBytes: 512 },
  };
}

function mergeInput(open: OpenResources): MergeAttentionDescription {
  return {
    numRows: 2,
    numParts: 2,
    width: 8,
    partDtype: "fp32",
    outputDtype: "fp16",
    parts: { memory: open.otherMemory, offsetBytes: 0 },
    logSumExps: { memory: open.otherMemory, offsetBytes: 512 },
    output: { memory: open.otherMemory, offsetBytes: 1024 },
    logSumExp: null,
  };
}

/** Arguments with which each function of the addon does its work. */
export const VALID_ARGUMENTS: { [Name in keyof Native]: (open: OpenResources) => Parameters<Native[Name]> } = {
  setErrorFactory: () => [built.makeError],
  kernelSource: () => [],
  release: (open) => [open.event],
  probeCuda: () => [],
  listDevices: () => [],
  openDevice: () => ["host", 0],
  deviceProperties: (open) => [open.device],
  memoryInfo: (open) => [open.device],
  trimPool: (open) => [open.device, 0],
  defaultStream: (open) => [open.device],
  createStream: (open) => [open.device],
  synchronizeSync: (open) => [open.stream],
  whenDone: (open) => [open.stream],
  isIdle: (open) => [open.stream],
  beginCapture: (open) => [open.stream],
  isCapturing: (open) => [open.stream],
  endCapture: (open) => [open.capture],
  replayGraph: (open) => [open.graph, open.stream],
  createEvent: (open) => [open.device, true],
  recordEvent: (open) => [open.stream, open.event],
  waitForEvent: (open) => [open.stream, open.event],
  isEventDone: (open) => [open.event],
  synchronizeEventSync: (open) => [open.event],
  elapsedMs: (open) => [open.event, open.earlierEvent],
  allocate: (open) => [open.device, open.stream, 100, 512, "pool", true],
  addressOf: (open) => [open.memory],
  isResident: (open) => [open.memory],
  adjustExternalMemory: () => [0],
  pinnedBuffer: (open) => [open.pinned],
  releasePinned: (open) => [open.pinnedWithBuffer, open.buffer],
  fill: (open) => [open.memory, 96, 4000, 255, open.stream],
  copy: (open) => [open.memory, 0, open.otherMemory, 96, 4000, open.stream],
  upload: (open) => [open.memory, 96, new Uint8Array(4000), open.stream],
  downloadSync: (open) => [open.memory, 96, new Uint8Array(4000), open.stream],
  createView: (open) => [viewOf(open.memory)],
  append: (open) => [open.view, open.otherMemory, 0, open.pinned, 0, null, 0, 12, 4, open.stream],
  appendRotary: (open) => [open.view, rotaryInput(open), open.stream],
  copyBlocks: (open) => [open.view, new Int32Array([0, 1, 2, 3]), open.stream],
  gatherBlocks: (open) => [open.view, new Int32Array([0, 3]), open.pinned, 0, open.stream],
  readMemory: (open) => [open.memory, 0, MEMORY_BYTES, 1, open.pinned, 0, open.stream],
  scatterBlocks: (open) => [open.view, new Int32Array([1, 2]), open.pinned, 0, open.stream],
  decodeAttention: (open) => [open.view, decodeInput(open), open.stream],
  prefillAttention: (open) => [open.view, prefillInput(open), open.stream],
  mergeAttention: (open) => [mergeInput(open), open.stream],
};
