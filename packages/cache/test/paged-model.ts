import { randomBytes } from "node:crypto";
import { elementBytes } from "@kv/config";
import type { Device } from "@kv/device-memory";
import { expect } from "vitest";
import { type Batch, holdsTokens, type PagedKVCache, type PagedSequence } from "../src/index.ts";

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
  readonly #written: Map<string, (TokenBytes | undefined)[]> = new Map(); // namespace and prefix: bytes by layer

  /** The bytes of the last token of a prefix; random, and kept, when that prefix was not computed before. By layer. */
  compute(cache: PagedKVCache, namespace: string, prefix: readonly number[]): (TokenBytes | undefined)[] {
    const key = `${namespace}|${prefix.join()}`;
    const known = this.#written.get(key);
    if (known !== undefined) return known;
    const made = cache.layout.places.map((place, layer) => {
      if (place === undefined || place.isShared || !holdsTokens(place.holds)) return undefined;
      const { keyBytesPerToken, valueBytesPerToken } = cache.view(layer);
      return { keys: randomBytes(keyBytesPerToken), values: randomBytes(valueBytesPerToken) };
    });
    this.#written.set(key, made);
    return made;
  }
}

/** Layers that keep tokens of their own. */
export function tokenLayers(cache: PagedKVCache): number[] {
  return cache.layout.places.flatMap((place, layer) =>
    place !== undefined && !place.isShared && holdsTokens(place.holds) ? [layer] : [],
  );
}

/** All bytes of the pool, by buffer. */
export function readPool(cache: PagedKVCache): Buffer[] {
  return cache.buffers.map((buffer) => {
    const bytes = Buffer.alloc(buffer.sizeBytes, 0xaa);
    buffer.copyToHostSync(bytes, cache.stream);
    return bytes;
  });
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
  const news = sequences.flatMap(({ sequence, namespace, tokens }) =>
    tokens
      .slice(sequence.writtenTokens)
      .map((_, i) => model.compute(cache, namespace, tokens.slice(0, sequence.writtenTokens + i + 1))),
  );
  batch.prepare(sequences.map((each) => each.sequence));
  for (const layer of news.length > 0 ? tokenLayers(cache) : []) {
    const packed = (plane: "keys" | "values"): Buffer =>
      Buffer.concat(news.map((token) => token[layer]?.[plane] ?? Buffer.alloc(0)));
    using keys = device.allocate(news.length * cache.view(layer).keyBytesPerToken, { zero: false });
    using values = device.allocate(news.length * cache.view(layer).valueBytesPerToken, { zero: false });
    keys.upload(packed("keys"));
    values.upload(packed("values"));
    cache.append(layer, batch, { keys, values });
  }
  batch.commit();
}

/** The bytes that a layer holds of a sequence's tokens, read through its block table; undefined where a window has left. */
export function readLayer(
  cache: PagedKVCache,
  sequence: PagedSequence,
  layer: number,
  pool: readonly Buffer[],
): (TokenBytes | undefined)[] {
  const place = cache.layout.places[layer];
  if (place === undefined || !holdsTokens(place.holds)) throw new Error(`layer ${layer} has no tokens`);
  const { numKvHeads, keyDim, valueDim, dtype, isJoined } = place.holds;
  const { tokensPerBlock } = cache.layout;
  const { firstBlock, bytesPerBlock } = cache.layout.buffers[place.buffer] as {
    firstBlock: number;
    bytesPerBlock: number;
  };
  const table = sequence.blockTable(place.group, place.part);
  const keyBytes = numKvHeads * keyDim * elementBytes(dtype);
  const valueBytes = numKvHeads * valueDim * elementBytes(dtype);
  return Array.from({ length: sequence.length }, (_, position) => {
    const block = table[Math.floor(position / tokensPerBlock)] ?? -1;
    if (block < 0) return undefined;
    const start = (block - firstBlock) * bytesPerBlock + place.offsetBytes;
    const at = position % tokensPerBlock;
    const keysAt = start + at * (isJoined ? keyBytes + valueBytes : keyBytes);
    const valuesAt = isJoined ? keysAt + keyBytes : start + tokensPerBlock * keyBytes + at * valueBytes;
    const bytes = pool[place.buffer] as Buffer;
    return {
      keys: bytes.subarray(keysAt, keysAt + keyBytes),
      values: bytes.subarray(valuesAt, valuesAt + valueBytes),
    };
  });
}

/** Every token that a layer still has is what the model computed for it. */
export function expectContents(cache: PagedKVCache, model: PagedModel, sequences: readonly ModelSequence[]): void {
  cache.settle();
  const pool = readPool(cache);
  for (const { sequence, namespace, tokens } of sequences) {
    expect(sequence.length).toBe(tokens.length);
    for (const layer of tokenLayers(cache)) {
      readLayer(cache, sequence, layer, pool).forEach((found, position) => {
        if (found === undefined) return;
        const wanted = model.compute(cache, namespace, tokens.slice(0, position + 1))[layer];
        const isEqual = found.keys.equals(wanted?.keys ?? EMPTY) && found.values.equals(wanted?.values ?? EMPTY);
        expect(isEqual, `layer ${layer}, position ${position}`).toBe(true);
      });
    }
  }
}

const EMPTY = Buffer.alloc(0);
