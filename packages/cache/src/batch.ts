import {
  CaptureError,
  type DeviceEvent,
  type DeviceMemory,
  DisposedError,
  type MemorySlice,
  type PinnedMemory,
} from "@kv/device-memory";
import { MAX_QUERY_LENGTH } from "@kv/kernels";
import { type BlockTable, InvalidOptionError, SequenceBatch } from "@kv/paging";
import type { VramTracker } from "@kv/vram-tracker";
import { DecodeGraph } from "./decode-graph.ts";
import type { PagedKVCache } from "./paged-kv-cache.ts";
import type { PagedSequence } from "./paged-sequence.ts";

/** Room of a batch. */
export interface BatchLimits {
  readonly maxSequences: number;
  /** New tokens of all sequences together. Default: one each. */
  readonly maxTokens?: number;
  /** Blocks of the longest sequence. */
  readonly maxBlocksPerSequence: number;
}

const INT32_BYTES = Int32Array.BYTES_PER_ELEMENT;

/** Where each array stands in the batch's memory, in elements of int32. */
interface BatchPlaces {
  readonly queryOffsets: number;
  readonly positions: number;
  /** Of each part of each layer group of tokens: its slot mapping, then its block tables. By unit of the block manager. */
  readonly parts: readonly (PartPlaces | undefined)[];
  /** Of each layer group of states: its states' blocks. By group. */
  readonly states: readonly (number | undefined)[];
  readonly length: number;
}

interface PartPlaces {
  readonly slotMapping: number;
  readonly blockTables: number;
}

interface BatchMemory {
  readonly places: BatchPlaces;
  readonly device: DeviceMemory;
  readonly pinned: PinnedMemory;
}

/**
 * What the kernels must know of the sequences of one step, in memory of the device: block tables, slots, lengths, offsets.
 * `prepare` works it out in pinned memory, where only changes are written, and sends it in one copy.
 */
export class Batch implements Disposable {
  readonly #cache: PagedKVCache;
  readonly #limits: Required<BatchLimits>;
  readonly #places: BatchPlaces;
  readonly #pinned: PinnedMemory;
  readonly #memory: DeviceMemory;
  readonly #sent: DeviceEvent;
  readonly #parts: readonly SequenceBatch[];
  readonly #states: readonly StateBlocks[];
  /** Of the step in hand; its length is set only where it changes, since that takes microseconds. */
  readonly #tables: BlockTable[] = [];
  readonly #newTokens: Int32Array;
  readonly #positions: Int32Array;
  /** Of the step in hand. */
  #sequences: readonly PagedSequence[] = [];
  #numTokens = 0;
  /** While a decode step is captured: the new tokens of every row. */
  #capturedLength: number | undefined;

  private constructor(cache: PagedKVCache, limits: Required<BatchLimits>, memory: BatchMemory) {
    this.#cache = cache;
    this.#limits = limits;
    this.#places = memory.places;
    this.#pinned = memory.pinned;
    this.#memory = memory.device;
    this.#newTokens = new Int32Array(limits.maxSequences);
    const elements = new Int32Array(memory.pinned.bytes.buffer);
    this.#positions = elements.subarray(memory.places.positions, memory.places.positions + limits.maxTokens);
    this.#parts = unitsOf(cache).flatMap((unit, i) => this.#makePart(elements, unit, i));
    this.#states = memory.places.states.flatMap((at, group) =>
      stateBlocks(cache, elements, limits.maxSequences, group, at),
    );
    this.#sent = cache.device.createEvent({ timing: false });
  }

  /** @internal Made by `PagedKVCache.createBatch`. */
  static allocate(cache: PagedKVCache, given: BatchLimits, tracker: VramTracker | undefined): Batch {
    const limits = { maxTokens: given.maxSequences, ...given };
    const places = batchPlaces(limits, cache);
    const sizeBytes = places.length * INT32_BYTES;
    const device = cache.device.allocate(sizeBytes, {
      purpose: "intermediate_buffers",
      description: `batch of ${limits.maxSequences} sequences`,
      stream: cache.stream,
      ...(tracker === undefined ? {} : { tracker }),
    });
    let pinned: PinnedMemory | undefined;
    try {
      pinned = cache.device.allocatePinned(sizeBytes);
      return new Batch(cache, limits, { places, device, pinned });
    } catch (error) {
      pinned?.dispose();
      device.dispose();
      throw error;
    }
  }

  /** Sequences of the last `prepare`; all that there is room for while a decode step is captured. */
  get numSequences(): number {
    return this.#capturedLength === undefined ? this.#sequences.length : this.#limits.maxSequences;
  }

  /** New tokens of the last `prepare`: of each sequence those that are not written yet. */
  get numTokens(): number {
    return this.#capturedLength === undefined ? this.#numTokens : this.numSequences * this.#capturedLength;
  }

  /** [numSequences] int32: tokens of each sequence, the new ones included. */
  get sequenceLengths(): MemorySlice {
    return this.#slice(0, this.numSequences);
  }

  /** [numSequences + 1] int32: where each sequence's new tokens begin; the first is 0. */
  get queryOffsets(): MemorySlice {
    return this.#slice(this.#places.queryOffsets, this.numSequences + 1);
  }

  /** [numTokens] int32: the position of each new token in its sequence. */
  get positions(): MemorySlice {
    return this.#slice(this.#places.positions, this.numTokens);
  }

  /** How many new tokens each sequence has, where all have equally many and decode attention takes that many. */
  get uniformQueryLength(): number | undefined {
    if (this.#capturedLength !== undefined) return this.#capturedLength;
    const [first = 0] = this.#newTokens;
    if (first < 1 || first > MAX_QUERY_LENGTH || first * this.numSequences !== this.#numTokens) return undefined;
    return this.#newTokens.subarray(0, this.numSequences).every((count) => count === first) ? first : undefined;
  }

  /** [numTokens] int32: the slot of each new token in the blocks of a layer group's part, numbered within their buffer. */
  slotMapping(group = 0, part = 0): MemorySlice {
    return this.#slice(this.#part(group, part).slotMapping, this.numTokens);
  }

  /** [numSequences, maxBlocksPerSequence] int32: blocks within their buffer, padded with -1. */
  blockTables(group = 0, part = 0): MemorySlice {
    return this.#slice(this.#part(group, part).blockTables, this.numSequences * this.#limits.maxBlocksPerSequence);
  }

  /**
   * [numSequences] int32: the block, within its buffer, of each sequence's state in a group of recurrent layers; -1 in
   * the empty rows of a captured step.
   */
  stateBlocks(group: number): MemorySlice {
    const start = this.#places.states[group];
    if (start === undefined) throw new RangeError(`layer group ${group} has no states`);
    return this.#slice(start, this.numSequences);
  }

  /**
   * Takes the sequences of this step, each with all tokens that are not written yet, and sends what the kernels need. The
   * scrubs and copies that the blocks still need are queued before.
   * @throws InvalidOptionError when they do not fit the limits, DisposedError, CaptureError
   */
  prepare(sequences: readonly PagedSequence[]): void {
    if (!this.#memory.isAllocated) throw new DisposedError("the batch");
    this.#requireNoCapture("prepare");
    // The last step's copy may still read the pinned memory.
    this.#sent.synchronizeSync();
    const numTokens = this.#take(sequences);
    for (const part of this.#parts) part.prepare(this.#tables, this.#newTokens);
    for (const states of this.#states) states.write(sequences);
    this.#writePositions(sequences);
    this.#sequences = sequences.slice();
    this.#numTokens = numTokens;
    this.#cache.settle();
    this.#memory.copyFrom(this.#pinned, this.#cache.stream);
    this.#cache.stream.record(this.#sent);
  }

  /**
   * Captures a decode step of all sequences that there is room for, each with `queryLength` new tokens: what `work` gives
   * to the cache's stream, such as `attend` of every layer, on memory for so many tokens. Its replays are for the
   * sequences of the last `prepare`, whatever their lengths and blocks by then; rows behind these are empty: no tokens
   * are written for them, and their attention is 0.
   * @throws InvalidOptionError when so many tokens do not fit the limits; as `Device.capture`
   */
  captureDecode(work: () => void, queryLength = 1): DecodeGraph {
    const { maxTokens, maxSequences } = this.#limits;
    const most = Math.min(MAX_QUERY_LENGTH, Math.floor(maxTokens / maxSequences));
    if (!(Number.isInteger(queryLength) && queryLength >= 1 && queryLength <= most)) {
      throw new InvalidOptionError(
        "queryLength",
        queryLength,
        `1 to ${most} tokens for each of ${maxSequences} sequences`,
      );
    }
    this.#requireNoCapture("captureDecode");
    const { device, stream } = this.#cache;
    this.#capturedLength = queryLength;
    try {
      return new DecodeGraph(this, device.capture(work, stream), queryLength);
    } finally {
      this.#capturedLength = undefined;
    }
  }

  /**
   * Says that every layer of the step was appended: the new tokens count as written, and others may reuse them.
   * @throws CaptureError
   */
  commit(): void {
    this.#requireNoCapture("commit");
    for (const sequence of this.#sequences) {
      if (!sequence.isDisposed) sequence.wrote(sequence.length);
    }
    this.#sequences = [];
    this.#numTokens = 0;
  }

  dispose(): void {
    this.#sent.dispose();
    this.#memory.dispose();
    this.#pinned.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** What changes the bookkeeping would be done in the capture and not in a replay. */
  #requireNoCapture(operation: string): void {
    if (this.#cache.stream.isCapturing) throw new CaptureError(operation);
  }

  /** Notes each sequence's table and how many of its tokens are new; returns how many all have. */
  #take(sequences: readonly PagedSequence[]): number {
    const { maxSequences } = this.#limits;
    if (sequences.length > maxSequences) {
      throw new InvalidOptionError("sequences", sequences.length, `at most ${maxSequences}`);
    }
    let numTokens = 0;
    if (this.#tables.length !== sequences.length) this.#tables.length = sequences.length;
    for (let row = 0; row < sequences.length; row++) {
      const { table, writtenTokens } = sequences[row] as PagedSequence;
      const count = table.length - writtenTokens;
      this.#tables[row] = table;
      this.#newTokens[row] = count;
      numTokens += count;
    }
    return numTokens;
  }

  #writePositions(sequences: readonly PagedSequence[]): void {
    let at = 0;
    for (let row = 0; row < sequences.length; row++) {
      const { table, writtenTokens } = sequences[row] as PagedSequence;
      for (let position = writtenTokens; position < table.length; position++) this.#positions[at++] = position;
    }
  }

  #part(group: number, part: number): PartPlaces {
    const { firstUnit = Number.NaN, blocksPerSpan = 0 } = this.#cache.blocks.groups[group] ?? {};
    const found = part < blocksPerSpan ? this.#places.parts[firstUnit + part] : undefined;
    if (found === undefined) throw new RangeError(`no layer group ${group} of tokens has a part ${part}`);
    return found;
  }

  #slice(start: number, length: number): MemorySlice {
    return this.#memory.slice(start * INT32_BYTES, length * INT32_BYTES);
  }

  #makePart(elements: Int32Array, { group, part, firstBlock }: Unit, number: number): SequenceBatch[] {
    const { maxSequences, maxTokens, maxBlocksPerSequence } = this.#limits;
    const { queryOffsets, parts } = this.#places;
    const places = parts[number];
    if (places === undefined) return [];
    const { slotMapping, blockTables } = places;
    const batch = new SequenceBatch({
      ...this.#limits,
      group,
      part,
      firstBlock,
      tokensPerBlock: this.#cache.blocks.tokensPerBlock,
      arrays: {
        sequenceLengths: elements.subarray(0, maxSequences),
        queryOffsets: elements.subarray(queryOffsets, queryOffsets + maxSequences + 1),
        slotMapping: elements.subarray(slotMapping, slotMapping + maxTokens),
        blockTables: elements.subarray(blockTables, blockTables + maxSequences * maxBlocksPerSequence),
      },
    });
    return [batch];
  }
}

/** One part of a layer group. */
interface Unit {
  readonly group: number;
  readonly part: number;
  /** The first block of the buffer that it draws on. */
  readonly firstBlock: number;
}

/** Every part of every layer group, in the order of their units. */
function unitsOf({ blocks }: PagedKVCache): Unit[] {
  return blocks.groups.flatMap(({ blocksPerSpan, sizeClass }, group) =>
    Array.from({ length: blocksPerSpan }, (_, part) => {
      return { group, part, firstBlock: blocks.sizes[sizeClass]?.firstBlock ?? 0 };
    }),
  );
}

/** Lengths and offsets, then what each part of tokens has, then the states' blocks, one array after the other. */
function batchPlaces(
  { maxSequences, maxTokens, maxBlocksPerSequence }: Required<BatchLimits>,
  cache: PagedKVCache,
): BatchPlaces {
  let length = 0;
  const place = (elements: number): number => {
    length += elements;
    return length - elements;
  };
  const isState = (group: number): boolean => cache.blocks.groups[group]?.kind === "state";
  place(maxSequences);
  const queryOffsets = place(maxSequences + 1);
  const positions = place(maxTokens);
  const parts = unitsOf(cache).map(({ group }) => {
    if (isState(group)) return undefined;
    return { slotMapping: place(maxTokens), blockTables: place(maxSequences * maxBlocksPerSequence) };
  });
  const states = cache.blocks.groups.map((_, group) => (isState(group) ? place(maxSequences) : undefined));
  return { queryOffsets, positions, parts, states, length };
}

/** Where a batch's sequences have their states in one layer group. */
class StateBlocks {
  #numWritten = 0;

  constructor(
    readonly group: number,
    readonly firstBlock: number,
    readonly elements: Int32Array,
  ) {}

  write(sequences: readonly PagedSequence[]): void {
    for (let row = 0; row < sequences.length; row++) {
      const [block = 0] = (sequences[row] as PagedSequence).table.view(this.group);
      this.elements[row] = block - this.firstBlock;
    }
    this.elements.fill(-1, sequences.length, this.#numWritten);
    this.#numWritten = sequences.length;
  }
}

function stateBlocks(
  { blocks }: PagedKVCache,
  elements: Int32Array,
  maxSequences: number,
  group: number,
  at: number | undefined,
): StateBlocks[] {
  if (at === undefined) return [];
  const sizeClass = blocks.groups[group]?.sizeClass ?? 0;
  const ofGroup = elements.subarray(at, at + maxSequences).fill(-1);
  return [new StateBlocks(group, blocks.sizes[sizeClass]?.firstBlock ?? 0, ofGroup)];
}
