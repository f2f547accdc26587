import { type Device, type DeviceMemory, DisposedError, type MemoryRegion, type Stream } from "@kv/device-memory";
import { append, KvView, ShapeError } from "@kv/kernels";
import {
  type BlockId,
  BlockManager,
  type BlockOperation,
  type CreateSequenceOptions,
  type Pin,
  type PolicyFactory,
  type PolicyName,
  type PrefixOptions,
  type ScrubPolicy,
} from "@kv/paging";
import type { VramTracker } from "@kv/vram-tracker";
import { Batch, type BatchLimits } from "./batch.ts";
import { LayerIndexError } from "./errors.ts";
import { type PagedKVCacheConfig, type PagedLayout, pagedLayout } from "./paged-layout.ts";
import { PagedSequence } from "./paged-sequence.ts";

export interface AllocatePagedCacheOptions {
  /** Where the pool is accounted for, as "kv_cache". */
  readonly tracker?: VramTracker;
  /** Whose cache it is, for the tracker's report. */
  readonly owner?: string;
  /** The one stream that all work on the pool runs on, in order. Default: the device's. */
  readonly stream?: Stream;
  /** Which cached block makes room first. */
  readonly policy?: PolicyName | PolicyFactory;
  /** Which blocks are set to zero when they change owner. Default "never". */
  readonly scrub?: ScrubPolicy;
  /** Most blocks that pins hold together. Default: a quarter of the pool. */
  readonly maxPinnedBlocks?: number;
  /** Milliseconds, for policies that know time. */
  readonly clock?: () => number;
}

/** New tokens of one layer for a whole batch, packed: [numTokens, numKvHeads, headDim] in memory of the device or pinned. */
export interface BatchAppendInput {
  readonly keys: MemoryRegion;
  readonly values: MemoryRegion;
}

/**
 * A key/value cache in blocks, shared by many sequences: one pool of exactly the planned size, prefixes that are computed
 * once, copies on write. Which block holds which tokens is decided by `@kv/paging`, the same on every device; this class
 * does on the device what was decided. All work runs on one stream.
 */
export class PagedKVCache implements Disposable {
  readonly device: Device;
  readonly layout: PagedLayout;
  /** The pool: [numBlocks][layersPerBlock][keys, values][tokensPerBlock][numKvHeads][headDim]. */
  readonly memory: DeviceMemory;
  /** The bookkeeping: usage, quotas, events, explanations. Sequences made from it directly are not written by batches. */
  readonly blocks: BlockManager;
  readonly stream: Stream;
  readonly #tracker: VramTracker | undefined;
  readonly #views: (KvView | undefined)[];

  private constructor(
    layout: PagedLayout,
    memory: DeviceMemory,
    blocks: BlockManager,
    stream: Stream,
    tracker: VramTracker | undefined,
  ) {
    this.device = memory.device;
    this.layout = layout;
    this.memory = memory;
    this.blocks = blocks;
    this.stream = stream;
    this.#tracker = tracker;
    this.#views = new Array<KvView | undefined>(layout.config.numLayers);
  }

  /**
   * Allocates the pool and queues its zeroing.
   * @throws InvalidConfigError, InvalidOptionError, SizeOverflowError, BudgetExceededError, OutOfMemoryError
   */
  static allocate(device: Device, config: PagedKVCacheConfig, options: AllocatePagedCacheOptions = {}): PagedKVCache {
    const layout = pagedLayout(config);
    const { numBlocks, tokensPerBlock, dtype } = layout.config;
    const { tracker, owner, stream = device.defaultStream, ...managing } = options;
    const { bytesPerBlock, groupSpecs: groups } = layout;
    const blocks = new BlockManager({ ...managing, numBlocks, tokensPerBlock, bytesPerBlock, groups });
    const memory = device.allocate(layout.sizeBytes, {
      purpose: "kv_cache",
      description: `${numBlocks} blocks of ${tokensPerBlock} tokens, ${bytesPerBlock} bytes each, ${dtype}`,
      stream,
      ...(tracker === undefined ? {} : { tracker }),
      ...(owner === undefined ? {} : { owner }),
    });
    return new PagedKVCache(layout, memory, blocks, stream, tracker);
  }

  get sizeBytes(): number {
    return this.memory.sizeBytes;
  }

  get isAllocated(): boolean {
    return this.memory.isAllocated;
  }

  /**
   * A sequence with these tokens. Its longest written prefix in the same namespace is shared, `reusedTokens` of it; the
   * others get blocks and are written by the next batch.
   * @throws OutOfBlocksError, QuotaError, InvalidTokenError, InvalidOptionError, DisposedError; nothing has changed then
   */
  createSequence(
    tokens: Int32Array | readonly number[],
    options: Omit<CreateSequenceOptions, "storeOn"> = {},
  ): PagedSequence {
    this.#requireAllocated();
    // Others may share a block once its keys and values are queued, not when its tokens are known.
    const table = this.blocks.createSequence(tokens, { ...options, storeOn: "commit" });
    return new PagedSequence(table, table.reusedTokens);
  }

  /** Keeps the written prefix of these tokens until the pin is disposed. @throws PinLimitError */
  pin(tokens: Int32Array | readonly number[], options?: PrefixOptions): Pin {
    return this.blocks.pin(tokens, options);
  }

  /** Room on the device for what the kernels must know of a batch: tables, slots, lengths, offsets. */
  createBatch(limits: BatchLimits): Batch {
    this.#requireAllocated();
    return Batch.allocate(this, limits, this.#tracker);
  }

  /**
   * Writes the new tokens of a batch in one layer. Queued; the inputs may be disposed at once.
   * @throws LayerIndexError, ShapeError when the inputs are not the batch's tokens, DisposedError
   */
  append(layer: number, batch: Batch, input: BatchAppendInput): void {
    const view = this.view(layer);
    const wantedBytes = batch.numTokens * view.keyBytesPerToken;
    if (input.keys.sizeBytes !== wantedBytes) {
      throw new ShapeError("keys", `${batch.numTokens} tokens, ${wantedBytes} bytes`, `${input.keys.sizeBytes} bytes`);
    }
    const { group, part } = this.#place(layer);
    append(view, { ...input, slots: batch.slotMapping(group, part) }, this.stream);
  }

  /** One layer as the kernels take it; its blocks are those of the layer's group and part. */
  view(layer: number): KvView {
    const known = this.#views[layer];
    if (known !== undefined) return known;
    const made = this.#makeView(layer);
    this.#views[layer] = made;
    return made;
  }

  /** Queues the scrubs and copies that the bookkeeping has assumed. A batch does so before it is written. */
  settle(): void {
    for (const operation of this.blocks.takeWork()) this.#run(operation);
  }

  /** Gives the memory back. Later calls do nothing. */
  dispose(): void {
    this.memory.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #run(operation: BlockOperation): void {
    if (operation.kind === "copy") {
      this.#block(operation.to).copyFrom(this.#block(operation.from), this.stream);
      return;
    }
    for (const block of operation.blocks) this.#block(block).zero(this.stream);
  }

  #block(block: BlockId): ReturnType<DeviceMemory["slice"]> {
    const { bytesPerBlock } = this.layout;
    return this.memory.slice(block * bytesPerBlock, bytesPerBlock);
  }

  #place(layer: number): PagedLayout["places"][number] {
    const place = this.layout.places[layer];
    if (place === undefined) throw new LayerIndexError(layer, this.layout.config.numLayers);
    return place;
  }

  #makeView(layer: number): KvView {
    const { offsetBytes } = this.#place(layer);
    const { bytesPerToken, bytesPerBlock, sizeBytes } = this.layout;
    const { dtype, numKvHeads, headDim, tokensPerBlock, numBlocks } = this.layout.config;
    const keyBytes = tokensPerBlock * bytesPerToken;
    const planeBytes = sizeBytes - bytesPerBlock + keyBytes;
    const plane = (startBytes: number) => ({
      memory: this.memory.slice(startBytes, planeBytes),
      blockStrideBytes: bytesPerBlock,
      tokenStrideBytes: bytesPerToken,
      headStrideBytes: bytesPerToken / numKvHeads,
      headDim,
    });
    const keys = plane(offsetBytes);
    const values = plane(offsetBytes + keyBytes);
    return new KvView({ keys, values, dtype, numKvHeads, tokensPerBlock, numBlocks });
  }

  #requireAllocated(): void {
    if (!this.isAllocated) throw new DisposedError(`the cache of ${this.sizeBytes} bytes on ${this.device.name}`);
  }
}
