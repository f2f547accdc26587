import { randomBytes } from "node:crypto";
import { elementBytes, type KVCacheConfig, type KvDtype } from "@kv/config";

const ARRAYS = {
  fp32: Float32Array,
  fp16: Uint16Array,
  bf16: Uint16Array,
  fp8_e4m3: Uint8Array,
  fp8_e5m2: Uint8Array,
} satisfies Record<KvDtype, unknown>;

/** Random elements of a dtype for so many tokens; for fp32 numbers, whose NaNs would not compare. */
export function randomTokens(config: KVCacheConfig, numTokens: number): Float32Array | Uint16Array | Uint8Array {
  const dtype = config.dtype ?? "fp16";
  const length = numTokens * config.numKvHeads * config.headDim;
  if (dtype === "fp32") return Float32Array.from({ length }, () => Math.random() - 0.5);
  return new ARRAYS[dtype](new Uint8Array(randomBytes(length * elementBytes(dtype))).buffer);
}

/** A cache as plain arrays: one buffer for the keys and one for the values of each layer. */
export class ArrayModel {
  readonly #tokenBytes: number;
  readonly #capacity: number;
  readonly #layers: { keys: Buffer; values: Buffer }[];
  position = 0;

  constructor(config: KVCacheConfig) {
    this.#tokenBytes = config.numKvHeads * config.headDim * elementBytes(config.dtype ?? "fp16");
    this.#capacity = config.maxContextLength;
    const zeroes = (): Buffer => Buffer.alloc(config.maxContextLength * this.#tokenBytes);
    this.#layers = Array.from({ length: config.numLayers }, () => ({ keys: zeroes(), values: zeroes() }));
  }

  get capacityLeft(): number {
    return this.#capacity - this.position;
  }

  append(layer: number, keys: ArrayBufferView, values: ArrayBufferView): void {
    const start = this.position * this.#tokenBytes;
    bytesOf(keys).copy(this.layer(layer).keys, start);
    bytesOf(values).copy(this.layer(layer).values, start);
  }

  layer(layer: number): { keys: Buffer; values: Buffer } {
    const found = this.#layers[layer];
    if (found === undefined) throw new Error(`the model has no layer ${layer}`);
    return found;
  }

  reset(): void {
    this.position = 0;
    for (const { keys, values } of this.#layers) {
      keys.fill(0);
      values.fill(0);
    }
  }
}

export function bytesOf(view: ArrayBufferView): Buffer {
  return Buffer.from(view.buffer, view.byteOffset, view.byteLength);
}
