import type { KvDtype } from "@kv/config";
import { elementBytes } from "@kv/config";
import type { Device, MemoryRegion } from "@kv/device-memory";
import { native, type PlaneDescription, type ViewHandle } from "@kv/native";

/** Where the keys, or the values, of a layer lie: the address of a head is the sum of its strides. */
export interface PlaneLayout {
  /** Memory that holds all of it; block 0 starts at its first byte. */
  readonly memory: MemoryRegion;
  readonly blockStrideBytes: number;
  readonly tokenStrideBytes: number;
  readonly headStrideBytes: number;
  /** Elements of one head. */
  readonly headDim: number;
}

/** One layer of a cache. A contiguous cache has one block, which holds the whole context. */
export interface KvViewLayout {
  readonly keys: PlaneLayout;
  readonly values: PlaneLayout;
  readonly dtype: KvDtype;
  readonly numKvHeads: number;
  readonly tokensPerBlock: number;
  readonly numBlocks: number;
}

const released = new FinalizationRegistry<ViewHandle>((handle) => native().release(handle));

/**
 * One layer of a cache as the kernels see it. Owns no memory: once that is disposed, using the view is a DisposedError.
 * Slot `i` is token `i % tokensPerBlock` of block `floor(i / tokensPerBlock)`.
 */
export class KvView {
  readonly device: Device;
  readonly dtype: KvDtype;
  readonly numKvHeads: number;
  readonly numBlocks: number;
  readonly tokensPerBlock: number;
  readonly numSlots: number;
  /** Elements of one head's keys, and of its values. */
  readonly keyDim: number;
  readonly valueDim: number;
  /** Bytes of one token's keys, and of its values, packed: heads times head width times element bytes. */
  readonly keyBytesPerToken: number;
  readonly valueBytesPerToken: number;
  /** @internal */
  readonly handle: ViewHandle;

  /** @throws OutOfBoundsError when a head would lie outside its memory; InvalidArgumentError */
  constructor(layout: KvViewLayout) {
    const { keys, values, dtype, numKvHeads, tokensPerBlock, numBlocks } = layout;
    this.device = keys.memory.device;
    this.dtype = dtype;
    this.numKvHeads = numKvHeads;
    this.numBlocks = numBlocks;
    this.tokensPerBlock = tokensPerBlock;
    this.keyDim = keys.headDim;
    this.valueDim = values.headDim;
    this.numSlots = numBlocks * tokensPerBlock;
    this.keyBytesPerToken = numKvHeads * keys.headDim * elementBytes(dtype);
    this.valueBytesPerToken = numKvHeads * values.headDim * elementBytes(dtype);
    this.handle = native().createView({
      keys: describe(keys, dtype),
      values: describe(values, dtype),
      numBlocks,
      tokensPerBlock,
      numKvHeads,
    });
    released.register(this, this.handle);
  }
}

function describe(plane: PlaneLayout, dtype: KvDtype): PlaneDescription {
  const { memory, headDim, ...strides } = plane;
  const { handle, offsetBytes, sizeBytes } = memory;
  return { ...strides, memory: handle, offsetBytes, sizeBytes, headBytes: headDim * elementBytes(dtype) };
}
