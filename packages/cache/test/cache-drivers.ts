import type { KVCacheConfig } from "@kv/config";
import type { Device } from "@kv/device-memory";
import type { VramTracker } from "@kv/vram-tracker";
import { type Batch, KVCache, PagedKVCache, type PagedSequence } from "../src/index.ts";
import { bytesOf } from "./array-model.ts";
import type { CacheDriver, LayerInput } from "./cache-contract.ts";
import { readLayer, readPool } from "./paged-model.ts";

const TOKENS_PER_BLOCK = 4;

/** The contiguous layout. */
export class ContiguousDriver implements CacheDriver {
  readonly #cache: KVCache;

  constructor(device: Device, config: KVCacheConfig, tracker?: VramTracker) {
    this.#cache = KVCache.allocate(device, config, tracker === undefined ? {} : { tracker });
  }

  get sizeBytes(): number {
    return this.#cache.sizeBytes;
  }

  get isAllocated(): boolean {
    return this.#cache.isAllocated;
  }

  get position(): number {
    return this.#cache.position;
  }

  step(numTokens: number, inputs: readonly LayerInput[]): void {
    for (const [layer, input] of inputs.entries()) this.write(layer, numTokens, input);
    this.#cache.advancePosition(numTokens);
  }

  write(layer: number, _: number, input: LayerInput): void {
    this.#cache.append(layer, input as never);
  }

  read(layer: number, numTokens: number): { keys: Buffer; values: Buffer } {
    const [keys, values] = [this.#cache.keys(layer), this.#cache.values(layer)].map((tensor) => {
      const tokens = tensor.tokens(0, numTokens);
      const bytes = Buffer.alloc(tokens.sizeBytes);
      tokens.copyToHostSync(bytes);
      return bytes;
    });
    return { keys: keys as Buffer, values: values as Buffer };
  }

  readAll(): Buffer {
    const bytes = Buffer.alloc(this.#cache.sizeBytes, 0xaa);
    this.#cache.memory.copyToHostSync(bytes);
    return bytes;
  }

  reset(): void {
    this.#cache.reset();
  }

  dispose(): void {
    this.#cache.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** The paged layout, with one sequence in all of its blocks. */
export class PagedDriver implements CacheDriver {
  readonly #device: Device;
  readonly #cache: PagedKVCache;
  readonly #batch: Batch;
  readonly #sequence: PagedSequence;

  constructor(device: Device, { maxContextLength, ...config }: KVCacheConfig, tracker?: VramTracker) {
    const numBlocks = maxContextLength / TOKENS_PER_BLOCK;
    const pool = { ...config, numBlocks, tokensPerBlock: TOKENS_PER_BLOCK };
    this.#device = device;
    this.#cache = PagedKVCache.allocate(device, pool, tracker === undefined ? {} : { tracker });
    this.#batch = this.#cache.createBatch({
      maxSequences: 1,
      maxTokens: maxContextLength,
      maxBlocksPerSequence: numBlocks,
    });
    this.#sequence = this.#cache.createSequence([], { cache: false });
  }

  get sizeBytes(): number {
    return this.#cache.sizeBytes;
  }

  get isAllocated(): boolean {
    return this.#cache.isAllocated;
  }

  get position(): number {
    return this.#sequence.writtenTokens;
  }

  step(numTokens: number, inputs: readonly LayerInput[]): void {
    this.#sequence.append(new Int32Array(numTokens));
    this.#batch.prepare([this.#sequence]);
    for (const [layer, input] of inputs.entries()) this.#append(layer, input);
    this.#batch.commit();
  }

  write(layer: number, numTokens: number, input: LayerInput): void {
    const { length } = this.#sequence;
    this.#sequence.append(new Int32Array(numTokens));
    try {
      this.#batch.prepare([this.#sequence]);
      this.#append(layer, input);
    } finally {
      this.#sequence.truncate(length);
    }
  }

  read(layer: number, numTokens: number): { keys: Buffer; values: Buffer } {
    const tokens = readLayer(this.#cache, this.#sequence, layer, readPool(this.#cache)).slice(0, numTokens);
    const packed = (plane: "keys" | "values"): Buffer => Buffer.concat(tokens.flatMap((token) => token?.[plane] ?? []));
    return { keys: packed("keys"), values: packed("values") };
  }

  readAll(): Buffer {
    return Buffer.concat(readPool(this.#cache));
  }

  reset(): void {
    this.#sequence.truncate(0);
  }

  dispose(): void {
    this.#batch.dispose();
    this.#cache.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #append(layer: number, input: LayerInput): void {
    using keys = this.#device.allocate(input.keys.byteLength);
    using values = this.#device.allocate(input.values.byteLength);
    keys.upload(bytesOf(input.keys));
    values.upload(bytesOf(input.values));
    this.#cache.append(layer, this.#batch, { keys, values });
  }
}
