import { randomBytes } from "node:crypto";
import type { Device } from "@kv/device-memory";
import type { Batch, PagedKVCache, PagedSequence } from "../src/index.ts";

/** Keys and values of one token in one layer, as bytes. */
interface TokenBytes {
  readonly keys: Buffer;
  readonly values: Buffer;
}

/**
 * What a paged cache should hold, as plain arrays: every sequence has its own copy of every token's bytes, found by the
 * tokens before it. Knows no blocks.
 */
export class PagedModel {
  readonly #written: Map<string, TokenBytes[]> = new Map(); // namespace and prefix: bytes by layer

  /** The bytes of the last token of a prefix; random, and kept, when that prefix was not computed before. */
  compute(namespace: string, prefix: readonly number[], numLayers: number, tokenBytes: number): TokenBytes[] {
    const key = `${namespace}|${prefix.join()}`;
    const known = this.#written.get(key);
    if (known !== undefined) return known;
    const random = (): Buffer => randomBytes(tokenBytes);
    const made = Array.from({ length: numLayers }, () => ({ keys: random(), values: random() }));
    this.#written.set(key, made);
    return made;
  }
}

/** A sequence with its tokens beside it. */
export interface ModelSequence {
  readonly sequence: PagedSequence;
  readonly namespace: string;
  tokens: number[];
}

/** Prepares a batch, writes in every layer what the model says, and commits. */
export function writeBatch(
  device: Device,
  cache: PagedKVCache,
  batch: Batch,
  model: PagedModel,
  sequences: readonly ModelSequence[],
): void {
  const { numLayers } = cache.layout.config;
  const news = sequences.flatMap(({ sequence, namespace, tokens }) =>
    tokens
      .slice(sequence.writtenTokens)
      .map((_, i) =>
        model.compute(
          namespace,
          tokens.slice(0, sequence.writtenTokens + i + 1),
          numLayers,
          cache.layout.bytesPerToken,
        ),
      ),
  );
  batch.prepare(sequences.map((each) => each.sequence));
  for (let layer = 0; layer < numLayers && news.length > 0; layer++) {
    using keys = device.allocate(news.length * cache.layout.bytesPerToken, { zero: false });
    using values = device.allocate(news.length * cache.layout.bytesPerToken, { zero: false });
    keys.upload(Buffer.concat(news.map((token) => token[layer]?.keys ?? Buffer.alloc(0))));
    values.upload(Buffer.concat(news.map((token) => token[layer]?.values ?? Buffer.alloc(0))));
    cache.append(layer, batch, { keys, values });
  }
  batch.commit();
}

/** The bytes that a layer holds of a sequence's tokens from a position on, read through its block table. */
export function readLayer(
  cache: PagedKVCache,
  sequence: PagedSequence,
  layer: number,
  pool: Buffer,
): { keys: Buffer[]; values: Buffer[] } {
  const place = cache.layout.places[layer];
  if (place === undefined) throw new Error(`no layer ${layer}`);
  const { tokensPerBlock } = cache.layout.config;
  const { bytesPerBlock, bytesPerToken } = cache.layout;
  const table = sequence.blockTable(place.group, place.part);
  const keys: Buffer[] = [];
  const values: Buffer[] = [];
  for (let position = 0; position < sequence.length; position++) {
    const block = table[Math.floor(position / tokensPerBlock)] ?? -1;
    const start = block * bytesPerBlock + place.offsetBytes + (position % tokensPerBlock) * bytesPerToken;
    const valueStart = start + tokensPerBlock * bytesPerToken;
    keys.push(block < 0 ? Buffer.alloc(0) : pool.subarray(start, start + bytesPerToken));
    values.push(block < 0 ? Buffer.alloc(0) : pool.subarray(valueStart, valueStart + bytesPerToken));
  }
  return { keys, values };
}
