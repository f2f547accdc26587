import type { PagedKVCache } from "@kv/cache";
import type { PinnedMemory } from "@kv/device-memory";
import { append } from "@kv/kernels";
import type { BlockTable } from "@kv/paging";
import { type CacheLayer, cacheLayers, slotOf } from "./cache-layers.ts";
import type { Content } from "./content.ts";

const STAGING_BYTES = 16 * 1024 * 1024;

/** Writes keys and values of tokens that have places, layer by layer, out of pinned memory. */
export class CacheWriter implements Disposable {
  writtenBytes = 0;
  readonly #cache: PagedKVCache;
  readonly #content: Content;
  readonly #layers: readonly CacheLayer[];
  readonly #tokensAtOnce: number;
  readonly #rows: PinnedMemory;
  readonly #slots: PinnedMemory;

  constructor(cache: PagedKVCache, content: Content) {
    this.#cache = cache;
    this.#content = content;
    this.#layers = cacheLayers(cache);
    const rowBytes = Math.max(1, ...this.#layers.map(({ keyBytes, valueBytes }) => keyBytes + valueBytes));
    this.#tokensAtOnce = Math.max(1, Math.floor(STAGING_BYTES / rowBytes));
    this.#rows = cache.device.allocatePinned(this.#tokensAtOnce * rowBytes);
    this.#slots = cache.device.allocatePinned(this.#tokensAtOnce * Int32Array.BYTES_PER_ELEMENT);
  }

  /** Writes the tokens `[from, to)` of a request, after the copies and scrubs that the bookkeeping has assumed. */
  write(request: number, table: BlockTable, from: number, to: number): void {
    this.#cache.settle();
    for (let start = from; start < to; start += this.#tokensAtOnce) {
      const end = Math.min(to, start + this.#tokensAtOnce);
      for (const layer of this.#layers) this.#writeLayer(layer, request, table, start, end);
    }
  }

  [Symbol.dispose](): void {
    this.#cache.stream.synchronizeSync();
    this.#rows.dispose();
    this.#slots.dispose();
  }

  #writeLayer(layer: CacheLayer, request: number, table: BlockTable, from: number, to: number): void {
    const { keyBytes, valueBytes } = layer;
    const numTokens = to - from;
    const valuesAt = numTokens * keyBytes;
    const slots = new Int32Array(this.#slots.bytes.buffer, 0, numTokens);
    const { bytes } = this.#rows;
    for (let i = 0; i < numTokens; i++) {
      slots[i] = slotOf(layer, table, from + i, this.#cache.layout.tokensPerBlock);
      bytes.set(this.#content.row(request, from + i, layer.layer, 0, keyBytes), i * keyBytes);
      bytes.set(this.#content.row(request, from + i, layer.layer, 1, valueBytes), valuesAt + i * valueBytes);
    }
    const keys = this.#rows.slice(0, valuesAt);
    const values = this.#rows.slice(valuesAt, numTokens * valueBytes);
    append(layer.view, { keys, values, slots: this.#slots.slice(0, 4 * numTokens) }, this.#cache.stream);
    // The pinned memory is filled anew for the next layer.
    this.#cache.stream.synchronizeSync();
    this.writtenBytes += numTokens * (keyBytes + valueBytes);
  }
}
