import type { KVCache } from "@kv/cache";
import { rateOf } from "../units.ts";

/** A byte that should be zero and is not; the first of its layer. */
export interface NonZeroByte {
  readonly layer: number;
  readonly tensor: "keys" | "values";
  /** From the start of that layer's keys, or values. */
  readonly offsetBytes: number;
  readonly value: number;
}

/** What reading every byte of a cache found. */
export interface ZeroVerification {
  readonly verifiedBytes: number;
  /** Empty when every byte is zero; otherwise one for each layer that is not. */
  readonly nonZero: readonly NonZeroByte[];
  readonly ms: number;
  readonly bytesPerSecond: number;
}

// Large enough that a copy from a GPU runs at full speed, small enough that the compared bytes are still in the CPU's caches.
const PIECE_BYTES = 4 * 1024 * 1024;

/** Reads a whole cache back, piece by piece into one buffer, and compares it with zeroes. */
export function verifyZeroes(cache: KVCache, onProgress: (verifiedBytes: number) => void): ZeroVerification {
  const startedAt = performance.now();
  const pieceBytes = Math.min(PIECE_BYTES, cache.layerStrideBytes / 2);
  using buffer = cache.device.allocatePinned(pieceBytes);
  const zeroes = new Uint8Array(pieceBytes);
  const nonZero: NonZeroByte[] = [];
  for (let layer = 0; layer < cache.config.numLayers; layer++) {
    const found = nonZeroByte(cache, layer, buffer.bytes, zeroes);
    if (found !== undefined) nonZero.push(found);
    onProgress((layer + 1) * cache.layerStrideBytes);
  }
  const ms = performance.now() - startedAt;
  return { verifiedBytes: cache.sizeBytes, nonZero, ms, bytesPerSecond: rateOf(cache.sizeBytes, ms) };
}

function nonZeroByte(cache: KVCache, layer: number, buffer: Uint8Array, zeroes: Uint8Array): NonZeroByte | undefined {
  for (const tensor of ["keys", "values"] as const) {
    const region = cache[tensor](layer);
    for (let start = 0; start < region.sizeBytes; start += buffer.byteLength) {
      const piece = buffer.subarray(0, Math.min(buffer.byteLength, region.sizeBytes - start));
      region.slice(start, piece.byteLength).copyToHostSync(piece);
      // Buffer.compare is one memcmp; a loop over a typed array takes four times as long.
      if (Buffer.compare(piece, zeroes.subarray(0, piece.byteLength)) === 0) continue;
      const at = piece.findIndex((byte) => byte !== 0);
      return { layer, tensor, offsetBytes: start + at, value: piece[at] as number };
    }
  }
  return undefined;
}
