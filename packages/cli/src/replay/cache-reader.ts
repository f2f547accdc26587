import type { PagedKVCache } from "@kv/cache";
import type { BlockTable } from "@kv/paging";
import { blockBytes, type CacheLayer, cacheLayers, rowsOf } from "./cache-layers.ts";
import type { Content } from "./content.ts";

/** A token whose keys or values are not what was written. */
export interface WrongToken {
  readonly request: number;
  readonly layer: number;
  readonly index: number;
  readonly block: number;
}

/** Reads back what sequences have and compares it with what was written. */
export class CacheReader {
  readBytes = 0;
  readRequests = 0;
  readonly wrong: WrongToken[] = [];
  readonly #cache: PagedKVCache;
  readonly #content: Content;
  readonly #layers: readonly CacheLayer[];

  constructor(cache: PagedKVCache, content: Content) {
    this.#cache = cache;
    this.#content = content;
    this.#layers = cacheLayers(cache);
  }

  /** Compares every token of a request in every layer, those found in the cache too; keeps the first wrong one of a layer. */
  read(request: number, table: BlockTable): void {
    this.readRequests++;
    for (const layer of this.#layers) {
      const wrong = this.#firstWrong(layer, request, table);
      if (wrong !== undefined) this.wrong.push(wrong);
    }
  }

  #firstWrong(layer: CacheLayer, request: number, table: BlockTable): WrongToken | undefined {
    const { tokensPerBlock } = this.#cache.layout;
    for (let span = 0; span < table.numBlocks; span++) {
      const block = table.view(layer.place.group, layer.place.part)[span] as number;
      if (block < 0) continue;
      const bytes = blockBytes(this.#cache, layer, block);
      this.readBytes += bytes.byteLength;
      const end = Math.min(table.length, (span + 1) * tokensPerBlock);
      for (let index = span * tokensPerBlock; index < end; index++) {
        const [keys, values] = rowsOf(layer, bytes, index % tokensPerBlock, tokensPerBlock);
        const wantedKeys = this.#content.row(request, index, layer.layer, 0, keys.byteLength);
        const wantedValues = this.#content.row(request, index, layer.layer, 1, values.byteLength);
        if (!keys.equals(wantedKeys) || !values.equals(wantedValues)) {
          return { request, layer: layer.layer, index, block };
        }
      }
    }
    return undefined;
  }
}
