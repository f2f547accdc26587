import type { KvDtype } from "@kv/config";
import { type MemoryRegion, MemorySlice } from "@kv/device-memory";

/** The keys or the values of one layer: a view, contiguous, that owns nothing. */
export class KvTensor extends MemorySlice {
  readonly dtype: KvDtype;
  /** [maxContextLength, numKvHeads, headDim] */
  readonly shape: readonly [number, number, number];
  /** Bytes from a token, a head, an element to the next. */
  readonly stridesBytes: readonly [number, number, number];

  constructor(
    memory: MemoryRegion,
    offsetBytes: number,
    sizeBytes: number,
    dtype: KvDtype,
    shape: readonly [number, number, number],
    stridesBytes: readonly [number, number, number],
  ) {
    super(memory, offsetBytes, sizeBytes);
    this.dtype = dtype;
    this.shape = shape;
    this.stridesBytes = stridesBytes;
  }

  /** The bytes of `count` tokens from `position` on. */
  tokens(position: number, count: number): MemorySlice {
    return this.slice(position * this.stridesBytes[0], count * this.stridesBytes[0]);
  }
}
