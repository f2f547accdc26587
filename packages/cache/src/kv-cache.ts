import {
  calculateSize,
  elementBytes,
  type KVCacheConfig,
  layerStrideBytes,
  type ResolvedKVCacheConfig,
  validateConfig,
} from "@kv/config";
import {
  type Device,
  type DeviceMemory,
  InvalidArgumentError,
  MemoryRegion,
  MemorySlice,
  type Stream,
} from "@kv/device-memory";
import {
  append,
  appendAndAttend,
  DtypeError,
  type HostElements,
  KvView,
  type KvViewLayout,
  MAX_QUERY_LENGTH,
  type PlaneLayout,
  requireDtype,
  ShapeError,
} from "@kv/kernels";
import type { VramTracker } from "@kv/vram-tracker";
import { type AttendInput, appendInput, decodeInput, prefillInput } from "./attend.ts";
import { CacheFullError, LayerIndexError } from "./errors.ts";
import { KvTensor } from "./kv-tensor.ts";

export interface AllocateCacheOptions {
  /** Where the cache is accounted for, as "kv_cache". */
  readonly tracker?: VramTracker;
  /** Whose cache it is, for the tracker's report. */
  readonly owner?: string;
  /** The stream that allocates, zeroes and later frees. Default: the device's. */
  readonly stream?: Stream;
}

/**
 * New tokens of one layer, each [numTokens, numKvHeads, headDim] in the cache's dtype, packed: both in JavaScript's memory,
 * or both in memory of the device or pinned.
 */
export interface CacheAppendInput<T extends HostElements | MemoryRegion = HostElements | MemoryRegion> {
  readonly keys: T;
  readonly values: T;
}

/** The driver takes copies of up to 64 KiB from ordinary memory without waiting for the stream. */
const MAX_SLOTS_AT_ONCE = 65_536 / Int32Array.BYTES_PER_ELEMENT;

/**
 * A contiguous key/value cache of one sequence: `[layer 0 keys][layer 0 values][layer 1 keys]…`, each
 * [maxContextLength, numKvHeads, headDim]. Zero until written. Memory is given back by `dispose`.
 */
export class KVCache implements Disposable {
  readonly device: Device;
  readonly config: ResolvedKVCacheConfig;
  /** The one allocation behind the cache. */
  readonly memory: DeviceMemory;
  readonly layerStrideBytes: number;
  readonly #shape: readonly [number, number, number];
  readonly #stridesBytes: readonly [number, number, number];
  readonly #views: (KvView | undefined)[];
  #allLayers: KvView | undefined;
  #position = 0;

  private constructor(device: Device, config: ResolvedKVCacheConfig, memory: DeviceMemory) {
    const { numLayers, maxContextLength, numKvHeads, headDim, dtype } = config;
    const headBytes = headDim * elementBytes(dtype);
    this.device = device;
    this.config = config;
    this.memory = memory;
    this.layerStrideBytes = layerStrideBytes(config);
    this.#shape = [maxContextLength, numKvHeads, headDim];
    this.#stridesBytes = [numKvHeads * headBytes, headBytes, elementBytes(dtype)];
    this.#views = new Array<KvView | undefined>(numLayers);
  }

  /**
   * Allocates a cache of exactly `calculateSize(config)` bytes and queues its zeroing.
   * @throws InvalidConfigError, SizeOverflowError, BudgetExceededError, OutOfMemoryError
   */
  static allocate(device: Device, config: KVCacheConfig, options: AllocateCacheOptions = {}): KVCache {
    const resolved = validateConfig(config);
    const { numLayers, maxContextLength, numKvHeads, headDim, dtype } = resolved;
    const memory = device.allocate(calculateSize(resolved), {
      purpose: "kv_cache",
      description: `${numLayers} layers x ${maxContextLength} tokens x ${numKvHeads} KV heads x ${headDim} ${dtype}`,
      ...options,
    });
    return new KVCache(device, resolved, memory);
  }

  get sizeBytes(): number {
    return this.memory.sizeBytes;
  }

  get isAllocated(): boolean {
    return this.memory.isAllocated;
  }

  /** Where the next token goes; the number of tokens that the cache counts as written. */
  get position(): number {
    return this.#position;
  }

  get remainingCapacity(): number {
    return this.config.maxContextLength - this.#position;
  }

  get isFull(): boolean {
    return this.remainingCapacity === 0;
  }

  /** The keys of a layer. @throws LayerIndexError */
  keys(layer: number): KvTensor {
    return this.#tensor(this.#layerOffsetBytes(layer));
  }

  /** The values of a layer. @throws LayerIndexError */
  values(layer: number): KvTensor {
    return this.#tensor(this.#layerOffsetBytes(layer) + this.layerStrideBytes / 2);
  }

  /** One layer as the kernels take it: a single block. @throws LayerIndexError, DisposedError */
  view(layer: number): KvView {
    const known = this.#views[layer];
    if (known !== undefined) return known;
    const made = this.#makeView(layer);
    this.#views[layer] = made;
    return made;
  }

  /**
   * Writes new tokens of a layer at the current position, which does not move: `advancePosition` does that, once every
   * layer has them. Queued on `stream`; inputs in JavaScript's memory may change as soon as this returns.
   * @throws CacheFullError, ShapeError, DtypeError, LayerIndexError, DisposedError; nothing is written then
   */
  append(layer: number, input: CacheAppendInput, stream: Stream = this.device.defaultStream): void {
    const { keys, values } = input;
    if (keys instanceof MemoryRegion && values instanceof MemoryRegion) {
      this.#requireRoom(keys.sizeBytes, values.sizeBytes);
      append(this.view(layer), { keys, values, slots: this.#position }, stream);
    } else {
      this.#appendHost(layer, this.#hostElements("keys", keys), this.#hostElements("values", values), stream);
    }
  }

  /**
   * As `append`, for all layers in one call, where the keys and values of all of them are there at once:
   * [numLayers, numTokens, numKvHeads, headDim] each, in memory of the device or pinned. A few tokens take one launch.
   * @throws CacheFullError, ShapeError, DisposedError; nothing is written then
   */
  appendAll({ keys, values }: CacheAppendInput<MemoryRegion>, stream: Stream = this.device.defaultStream): void {
    const { numLayers, maxContextLength } = this.config;
    const numTokens = this.#requireRoom(keys.sizeBytes, values.sizeBytes, ["keys", "values"], numLayers);
    const numSlots = numLayers * numTokens;
    if (numSlots > MAX_SLOTS_AT_ONCE || numLayers * maxContextLength > 2 ** 31 - 1) {
      const layerBytes = keys.sizeBytes / numLayers;
      const ofLayer = (region: MemoryRegion, layer: number) => new MemorySlice(region, layer * layerBytes, layerBytes);
      for (let layer = 0; layer < numLayers; layer++) {
        this.append(layer, { keys: ofLayer(keys, layer), values: ofLayer(values, layer) }, stream);
      }
      return;
    }
    const slotOf = (i: number): number => Math.floor(i / numTokens) * maxContextLength + (i % numTokens);
    using slots = this.device.allocate(numSlots * Int32Array.BYTES_PER_ELEMENT, {
      purpose: "intermediate_buffers",
      description: "slots in all layers",
      stream,
      zero: false,
    });
    slots.upload(
      Int32Array.from({ length: numSlots }, (_, i) => this.#position + slotOf(i)),
      stream,
    );
    this.#allLayers ??= this.#makeViewOfAll();
    append(this.#allLayers, { keys, values, slots }, stream);
  }

  /**
   * Rotates new tokens of a layer, writes them at the current position, which does not move, and computes their causal
   * attention over all tokens up to them. A prompt or a single token: as many as fit. Queued on `stream`.
   * @throws CacheFullError, ShapeError, DtypeError, InvalidArgumentError, LayerIndexError, DisposedError
   */
  attend(layer: number, input: AttendInput, stream: Stream = this.device.defaultStream): void {
    const view = this.view(layer);
    const numTokens = this.#requireRoom(input.k.sizeBytes, input.v.sizeBytes, ["k", "v"]);
    const length = this.#position + numTokens;
    const places = { slots: this.#position, positions: this.#position, sequenceLengths: length };
    if (numTokens <= MAX_QUERY_LENGTH) {
      appendAndAttend(view, appendInput(input, places), decodeInput(input, places, numTokens), stream);
      return;
    }
    // Freed in the order of the stream, behind the work that reads it.
    using numbers = this.device.allocate(3 * Int32Array.BYTES_PER_ELEMENT, {
      purpose: "intermediate_buffers",
      description: "offsets and length of a prompt",
      stream,
      zero: false,
    });
    numbers.upload(Int32Array.of(0, numTokens, length), stream);
    const onDevice = { ...places, sequenceLengths: numbers.slice(8, 4) };
    appendAndAttend(view, appendInput(input, places), prefillInput(input, onDevice, numbers.slice(0, 8)), stream);
  }

  /**
   * Counts `amount` more tokens as written.
   * @throws CacheFullError if they do not fit, InvalidArgumentError if it is not a whole number above 0
   */
  advancePosition(amount: number): void {
    if (!Number.isSafeInteger(amount) || amount < 1) {
      throw new InvalidArgumentError(`amount: must be a whole number of at least 1, got ${amount}`, "amount");
    }
    this.#requireCapacity(amount);
    this.#position += amount;
  }

  /** Back to position 0, with every byte zero again. */
  reset(stream?: Stream): void {
    this.memory.zero(stream);
    this.#position = 0;
  }

  /** Gives the memory back. Later calls do nothing. */
  dispose(): void {
    this.memory.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #appendHost(layer: number, keys: HostElements, values: HostElements, stream: Stream): void {
    const numTokens = this.#requireRoom(keys.byteLength, values.byteLength);
    const keyTokens = this.keys(layer).tokens(this.#position, numTokens);
    const valueTokens = this.values(layer).tokens(this.#position, numTokens);
    keyTokens.upload(keys, stream);
    valueTokens.upload(values, stream);
  }

  #hostElements(argument: string, elements: HostElements | MemoryRegion): HostElements {
    if (!ArrayBuffer.isView(elements)) {
      throw new DtypeError(
        argument,
        "keys and values that are both typed arrays or both device memory",
        typeof elements,
      );
    }
    requireDtype(argument, elements, this.config.dtype);
    return elements;
  }

  /** How many tokens the inputs hold, which must fit. */
  #requireRoom(keyBytes: number, valueBytes: number, [keys, values] = ["keys", "values"], numLayers = 1): number {
    const tokenBytes = numLayers * this.#stridesBytes[0];
    const numTokens = keyBytes / tokenBytes;
    if (!Number.isInteger(numTokens) || numTokens === 0) {
      throw new ShapeError(keys, `one or more tokens of ${tokenBytes} bytes`, `${keyBytes} bytes`);
    }
    if (valueBytes !== keyBytes) throw new ShapeError(values, `${keyBytes} bytes, as ${keys}`, `${valueBytes} bytes`);
    this.#requireCapacity(numTokens);
    return numTokens;
  }

  #requireCapacity(amount: number): void {
    if (amount > this.remainingCapacity) throw new CacheFullError(this.#position, this.config.maxContextLength, amount);
  }

  #layerOffsetBytes(layer: number): number {
    const { numLayers } = this.config;
    if (!Number.isInteger(layer) || layer < 0 || layer >= numLayers) throw new LayerIndexError(layer, numLayers);
    return layer * this.layerStrideBytes;
  }

  #tensor(offsetBytes: number): KvTensor {
    const { dtype } = this.config;
    return new KvTensor(this.memory, offsetBytes, this.layerStrideBytes / 2, dtype, this.#shape, this.#stridesBytes);
  }

  #makeView(layer: number): KvView {
    return this.#viewOf(this.keys(layer), this.values(layer), { numBlocks: 1, blockStrideBytes: 0 });
  }

  /** All layers, each of them a block. */
  #makeViewOfAll(): KvView {
    const half = this.layerStrideBytes / 2;
    const blocks = { numBlocks: this.config.numLayers, blockStrideBytes: this.layerStrideBytes };
    return this.#viewOf(this.memory.slice(0, this.sizeBytes - half), this.memory.slice(half), blocks);
  }

  #viewOf(
    keys: MemoryRegion,
    values: MemoryRegion,
    { numBlocks, blockStrideBytes }: Pick<KvViewLayout, "numBlocks"> & Pick<PlaneLayout, "blockStrideBytes">,
  ): KvView {
    const { dtype, numKvHeads, maxContextLength, headDim } = this.config;
    const [tokenStrideBytes, headStrideBytes] = this.#stridesBytes;
    const plane = (memory: MemoryRegion) => ({
      memory,
      blockStrideBytes,
      tokenStrideBytes,
      headStrideBytes,
      headDim,
    });
    const planes = { keys: plane(keys), values: plane(values) };
    return new KvView({ ...planes, dtype, numKvHeads, tokensPerBlock: maxContextLength, numBlocks });
  }
}
