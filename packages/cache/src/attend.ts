import type { MemoryRegion } from "@kv/device-memory";
import {
  type AttentionOptions,
  type appendAndAttend,
  type DecodeAttentionInput,
  type RotaryEmbedding,
  type RotaryInput,
  ShapeError,
} from "@kv/kernels";

/**
 * One layer's new tokens after their projections, packed, in memory of the device or pinned. The keys and values are in
 * the cache's dtype, the query too unless `queryDtype` is given.
 */
export interface AttendInput extends AttentionOptions {
  /** [numTokens, numQueryHeads, key width]; rotated in its place where there is a rotary embedding. */
  readonly q: MemoryRegion;
  /** [numTokens, numKvHeads, key width] */
  readonly k: MemoryRegion;
  /** [numTokens, numKvHeads, value width] */
  readonly v: MemoryRegion;
  /** [numTokens, numQueryHeads, value width] of `outputDtype`; apart from what is read. */
  readonly output: MemoryRegion;
  /** A multiple of the KV heads; neighbouring query heads share one. */
  readonly numQueryHeads: number;
  /** Rotates q and k, by their tokens' positions. Without it they come rotated, or need none. */
  readonly rotary?: RotaryEmbedding;
}

/** What `appendAndAttend` takes beside the new tokens: where they go, and what they see. */
export interface AttendPlaces {
  readonly slots: MemoryRegion | number;
  readonly positions: MemoryRegion | number;
  readonly sequenceLengths: MemoryRegion | number;
  readonly blockTables?: MemoryRegion;
}

type Arguments = Parameters<typeof appendAndAttend>;

/** The new tokens and where they go, as `appendAndAttend` takes them. */
export function appendInput(
  { q, k, v, rotary, queryDtype }: AttendInput,
  { slots, positions }: AttendPlaces,
): Arguments[1] {
  const tokens = { keys: k, values: v, slots };
  if (rotary === undefined) return tokens;
  const rotated: RotaryInput = {
    embedding: rotary,
    positions,
    query: q,
    ...(queryDtype === undefined ? {} : { queryDtype }),
  };
  return { ...tokens, rotary: rotated };
}

/** Attention of sequences that all have `queryLength` new tokens. */
export function decodeInput(input: AttendInput, places: AttendPlaces, queryLength: number): DecodeAttentionInput {
  const { sequenceLengths, blockTables } = places;
  return { ...attentionOf(input), queryLength, sequenceLengths, ...(blockTables === undefined ? {} : { blockTables }) };
}

/** Attention of sequences that have the new tokens from one offset to the next. */
export function prefillInput(
  input: AttendInput,
  places: AttendPlaces & { readonly sequenceLengths: MemoryRegion },
  queryOffsets: MemoryRegion,
): Arguments[2] {
  const { sequenceLengths, blockTables } = places;
  return {
    ...attentionOf(input),
    queryOffsets,
    sequenceLengths,
    ...(blockTables === undefined ? {} : { blockTables }),
  };
}

/** @throws ShapeError unless a region holds so many tokens of so many bytes */
export function requireTokens(argument: string, region: MemoryRegion, numTokens: number, bytesPerToken: number): void {
  const wantedBytes = numTokens * bytesPerToken;
  if (region.sizeBytes === wantedBytes) return;
  throw new ShapeError(argument, `${numTokens} tokens, ${wantedBytes} bytes`, `${region.sizeBytes} bytes`);
}

function attentionOf({ q, output, k: _k, v: _v, rotary: _rotary, ...options }: AttendInput) {
  return { ...options, query: q, output };
}
