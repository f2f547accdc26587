import type { KVCache } from "@kv/cache";
import type { BitsOf, TensorId } from "./random-bits.ts";

/** A byte that was read back and is not what was appended; the first of its layer. */
export interface WrongByte extends TensorId {
  readonly token: number;
  /** From the start of that token's keys, or values. */
  readonly offsetBytes: number;
  readonly wanted: number;
  readonly found: number;
}

/**
 * Reads what was appended, and the token after it, which must still be zero where there is room for one. Gives the first
 * wrong byte of every layer that has one.
 */
export function readBack(cache: KVCache, bitsOf: BitsOf, onProgress: (numLayers: number) => void): WrongByte[] {
  const wrong: WrongByte[] = [];
  for (let layer = 0; layer < cache.config.numLayers; layer++) {
    const found =
      wrongByte(cache, { layer, tensor: "keys" }, bitsOf) ?? wrongByte(cache, { layer, tensor: "values" }, bitsOf);
    if (found !== undefined) wrong.push(found);
    onProgress(layer + 1);
  }
  return wrong;
}

function wrongByte(cache: KVCache, id: TensorId, bitsOf: BitsOf): WrongByte | undefined {
  const region = cache[id.tensor](id.layer);
  const tokenBytes = region.stridesBytes[0];
  const numTokens = Math.min(cache.position + 1, cache.config.maxContextLength);
  const found = new Uint8Array(numTokens * tokenBytes);
  const wanted = new Uint8Array(numTokens * tokenBytes);
  wanted.set(bitsOf(id, cache.position * tokenBytes));
  region.tokens(0, numTokens).copyToHostSync(found);
  if (Buffer.compare(found, wanted) === 0) return undefined;
  const at = found.findIndex((byte, i) => byte !== wanted[i]);
  return {
    ...id,
    token: Math.floor(at / tokenBytes),
    offsetBytes: at % tokenBytes,
    wanted: wanted[at] as number,
    found: found[at] as number,
  };
}
