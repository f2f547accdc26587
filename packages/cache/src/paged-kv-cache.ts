import { type Device, type DeviceMemory, DisposedError, type MemoryRegion, type Stream } from "@kv/device-memory";
import { append, appendAndAttend, type KvView } from "@kv/kernels";
import {
  BlockManager,
  type CreateSequenceOptions,
  type Pin,
  type PolicyFactory,
  type PolicyName,
  type PrefixOptions,
  type ScrubPolicy,
} from "@kv/paging";
import type { VramTracker } from "@kv/vram-tracker";
import { type AttendInput, appendInput, decodeInput, prefillInput, requireTokens } from "./attend.ts";
import { Batch, type BatchLimits } from "./batch.ts";
import { holdsTokens, type TokenRow } from "./cache-group.ts";
import { LayerIndexError, LayerKindError } from "./errors.ts";
import { type LayerState, layerState } from "./layer-state.ts";
import { layerView } from "./layer-view.ts";
import type { PagedKVCacheConfig } from "./paged-config.ts";
import { type BufferLayout, type LayerPlace, type PagedLayout, pagedLayout } from "./paged-layout.ts";
import { PagedSequence } from "./paged-sequence.ts";
import { allocateBuffers, runBlockOperation } from "./pool-buffers.ts";

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

/**
 * New tokens of one layer for a whole batch, packed: [numTokens, numKvHeads, head width] in memory of the device or
 * pinned. Of a latent layer, `keys` are the latents and `values` the rotary keys.
 */
export interface BatchAppendInput {
  readonly keys: MemoryRegion;
  readonly values: MemoryRegion;
}

/**
 * A key/value cache in blocks, shared by many sequences: buffers of exactly the planned size, prefixes that are computed
 * once, copies on write. Which block holds which tokens is decided by `@kv/paging`, the same on every device; this class
 * does on the device what was decided. All work runs on one stream.
 */
export class PagedKVCache implements Disposable {
  readonly device: Device;
  readonly layout: PagedLayout;
  /** The pool, as `layout.buffers` describes it: one buffer for each size of blocks. */
  readonly buffers: readonly DeviceMemory[];
  /** The bookkeeping: usage, quotas, events, explanations. Sequences made from it directly are not written by batches. */
  readonly blocks: BlockManager;
  readonly stream: Stream;
  readonly #tracker: VramTracker | undefined;
  readonly #views: (KvView | undefined)[];

  private constructor(
    layout: PagedLayout,
    buffers: readonly DeviceMemory[],
    blocks: BlockManager,
    stream: Stream,
    tracker: VramTracker | undefined,
  ) {
    this.device = (buffers[0] as DeviceMemory).device;
    this.layout = layout;
    this.buffers = buffers;
    this.blocks = blocks;
    this.stream = stream;
    this.#tracker = tracker;
    this.#views = new Array<KvView | undefined>(layout.numLayers);
  }

  /**
   * Allocates the pool and queues its zeroing.
   * @throws InvalidConfigError, LayerKindError, InvalidOptionError, SizeOverflowError, BudgetExceededError, OutOfMemoryError
   */
  static allocate(device: Device, config: PagedKVCacheConfig, options: AllocatePagedCacheOptions = {}): PagedKVCache {
    const layout = pagedLayout(config);
    const { tracker, owner, stream = device.defaultStream, ...managing } = options;
    const { tokensPerBlock, groupSpecs: groups } = layout;
    const [first, ...moreSizes] = layout.buffers as readonly [BufferLayout, ...BufferLayout[]];
    const { numBlocks, bytesPerBlock } = first;
    const blocks = new BlockManager({ ...managing, numBlocks, bytesPerBlock, moreSizes, tokensPerBlock, groups });
    const buffers = allocateBuffers(device, layout, { tracker, owner, stream });
    return new PagedKVCache(layout, buffers, blocks, stream, tracker);
  }

  /** Bytes of all buffers. */
  get sizeBytes(): number {
    return this.layout.sizeBytes;
  }

  get isAllocated(): boolean {
    return this.buffers.every((buffer) => buffer.isAllocated);
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
    return new PagedSequence(this.blocks.createSequence(tokens, { ...options, storeOn: "commit" }));
  }

  /**
   * A sequence with the written prefix of these tokens alone, `reusedTokens` of them. The others are appended as they are
   * computed, some at a time, so that layers with a window take blocks for no more than these. Errors as `createSequence`.
   */
  openSequence(
    tokens: Int32Array | readonly number[],
    options: Omit<CreateSequenceOptions, "storeOn"> = {},
  ): PagedSequence {
    this.#requireAllocated();
    return new PagedSequence(this.blocks.openSequence(tokens, { ...options, storeOn: "commit" }));
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
   * @throws LayerIndexError, LayerKindError, ShapeError when the inputs are not the batch's tokens, DisposedError
   */
  append(layer: number, batch: Batch, input: BatchAppendInput): void {
    const view = this.view(layer);
    const { group, part, isShared } = this.#place(layer);
    if (isShared) throw new LayerKindError(layer, "shared", "append to the layer that it reads");
    requireTokens("keys", input.keys, batch.numTokens, view.keyBytesPerToken);
    append(view, { ...input, slots: batch.slotMapping(group, part) }, this.stream);
  }

  /**
   * Rotates the new tokens of a batch in one layer by their positions, writes them, and computes their causal attention,
   * each over its own sequence; in a layer with a window, over that. Prompts, chunks of them, and single tokens in any
   * mixture: a batch of equally few new tokens each takes decode attention, others prefill attention. Queued.
   * @throws LayerIndexError; LayerKindError for a layer that is shared, latent, chunked or has no tokens; ShapeError when
   * the inputs are not the batch's tokens; DtypeError, InvalidArgumentError, DisposedError
   */
  attend(layer: number, batch: Batch, input: AttendInput): void {
    const view = this.view(layer);
    const { group, part, isShared, holds } = this.#place(layer);
    const { kind, spanTokens } = this.blocks.groups[group] ?? { kind: "full", spanTokens: 0 };
    if (isShared) throw new LayerKindError(layer, "shared", "use decodeAttention on its view");
    if (kind === "chunked" || (holdsTokens(holds) && holds.isJoined)) {
      throw new LayerKindError(layer, kind, "attend computes on full layers and on those with a window");
    }
    requireTokens("k", input.k, batch.numTokens, view.keyBytesPerToken);
    const windowTokens = kind === "sliding" ? { windowTokens: input.windowTokens ?? spanTokens } : {};
    const attended = { ...input, ...windowTokens };
    const places = {
      slots: batch.slotMapping(group, part),
      positions: batch.positions,
      sequenceLengths: batch.sequenceLengths,
      blockTables: batch.blockTables(group, part),
    };
    const tokens = appendInput(attended, places);
    const { uniformQueryLength } = batch;
    const attention =
      uniformQueryLength === undefined
        ? prefillInput(attended, places, batch.queryOffsets)
        : decodeInput(attended, places, uniformQueryLength);
    appendAndAttend(view, tokens, attention, this.stream);
  }

  /**
   * One layer as the kernels take it; its blocks are those of the layer's group and part, numbered from 0 in its buffer as
   * in a batch's tables. A shared layer has the view of the layer that it reads.
   * @throws LayerIndexError; LayerKindError for a layer without tokens; DisposedError
   */
  view(layer: number): KvView {
    const known = this.#views[layer];
    if (known !== undefined) return known;
    const place = this.#place(layer);
    const { holds } = place;
    if (!holdsTokens(holds)) throw new LayerKindError(layer, "state", "it has a state for each sequence and no tokens");
    const made = this.#makeView(place, holds);
    this.#views[layer] = made;
    return made;
  }

  /**
   * A sequence's state in a recurrent layer: zeros when the sequence begins, then what the caller's kernels write.
   * @throws LayerIndexError, LayerKindError, DisposedError
   */
  state(layer: number, sequence: PagedSequence): LayerState {
    const place = this.#place(layer);
    const { holds } = place;
    if (holdsTokens(holds)) throw new LayerKindError(layer, "no recurrence", "use its view");
    const [block = -1] = sequence.blockTable(place.group, place.part);
    return layerState(this.buffers[place.buffer] as DeviceMemory, this.layout, { ...place, holds }, block);
  }

  /** Queues the scrubs and copies that the bookkeeping has assumed. A batch does so before it is written. */
  settle(): void {
    for (const operation of this.blocks.takeWork()) {
      runBlockOperation(this.layout, this.buffers, operation, this.stream);
    }
  }

  /** Gives the memory back. Later calls do nothing. */
  dispose(): void {
    for (const buffer of this.buffers) buffer.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #place(layer: number): LayerPlace {
    const place = this.layout.places[layer];
    if (place !== undefined) return place;
    const isThere = Number.isInteger(layer) && layer >= 0 && layer < this.layout.numLayers;
    throw isThere
      ? new LayerKindError(layer, "none", "it has no cache")
      : new LayerIndexError(layer, this.layout.numLayers);
  }

  #makeView(place: LayerPlace, holds: TokenRow): KvView {
    const layout = this.layout.buffers[place.buffer] as BufferLayout;
    const memory = this.buffers[place.buffer] as DeviceMemory;
    return layerView(memory, layout, { ...place, holds }, this.layout.tokensPerBlock);
  }

  #requireAllocated(): void {
    if (!this.isAllocated) throw new DisposedError(`the cache of ${this.sizeBytes} bytes on ${this.device.name}`);
  }
}
