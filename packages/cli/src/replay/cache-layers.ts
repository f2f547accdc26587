import { holdsTokens, type LayerPlace, type PagedKVCache, type TokenRow } from "@kv/cache";
import type { DeviceMemory } from "@kv/device-memory";
import type { KvView } from "@kv/kernels";
import type { BlockTable } from "@kv/paging";

/** A layer of a paged cache that holds tokens of its own. */
export interface CacheLayer {
  readonly layer: number;
  readonly view: KvView;
  readonly place: LayerPlace & { readonly holds: TokenRow };
  /** Of one token. */
  readonly keyBytes: number;
  readonly valueBytes: number;
  /** Number of the first block of the layer's buffer. */
  readonly firstBlock: number;
}

/** All layers that are written. */
export function cacheLayers(cache: PagedKVCache): CacheLayer[] {
  return cache.layout.places.flatMap((place, layer) => {
    if (place === undefined || place.isShared || !holdsTokens(place.holds)) return [];
    const view = cache.view(layer);
    const { firstBlock } = cache.layout.buffers[place.buffer] as { readonly firstBlock: number };
    const { keyBytesPerToken: keyBytes, valueBytesPerToken: valueBytes } = view;
    return [{ layer, view, place: { ...place, holds: place.holds }, keyBytes, valueBytes, firstBlock }];
  });
}

/** The slot of a token in a layer's buffer, -1 where a window has left it. */
export function slotOf(
  { place, firstBlock }: CacheLayer,
  table: BlockTable,
  index: number,
  tokensPerBlock: number,
): number {
  const block = table.view(place.group, place.part)[Math.floor(index / tokensPerBlock)] as number;
  return block < 0 ? -1 : (block - firstBlock) * tokensPerBlock + (index % tokensPerBlock);
}

/** The bytes of a whole block in one layer. */
export function blockBytes(cache: PagedKVCache, layer: CacheLayer, block: number): Buffer {
  const { keyBytes, valueBytes, place, firstBlock } = layer;
  const bytes = Buffer.alloc(cache.layout.tokensPerBlock * (keyBytes + valueBytes));
  const { bytesPerBlock } = cache.layout.buffers[place.buffer] as { readonly bytesPerBlock: number };
  const start = (block - firstBlock) * bytesPerBlock + place.offsetBytes;
  const buffer = cache.buffers[place.buffer] as DeviceMemory;
  buffer.slice(start, bytes.byteLength).copyToHostSync(bytes, cache.stream);
  return bytes;
}

/** Keys and values of one token in the bytes of its block. */
export function rowsOf(layer: CacheLayer, bytes: Buffer, offset: number, tokensPerBlock: number): [Buffer, Buffer] {
  const { keyBytes, valueBytes, place } = layer;
  const keysAt = offset * (place.holds.isJoined ? keyBytes + valueBytes : keyBytes);
  const valuesAt = place.holds.isJoined ? keysAt + keyBytes : tokensPerBlock * keyBytes + offset * valueBytes;
  return [bytes.subarray(keysAt, keysAt + keyBytes), bytes.subarray(valuesAt, valuesAt + valueBytes)];
}
