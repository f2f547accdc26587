import { randomBytes } from "node:crypto";
import type { Trace } from "@kv/paging/replay";

const OFFSETS = 1 << 20;

/**
 * What the keys and values of a token are in a replay: bytes that follow from what the token is and where it stands, so
 * that equal prefixes have equal ones, cut out of random bits.
 */
export class Content {
  readonly #bits: Buffer;
  readonly #trace: Trace;
  readonly #tokensPerIndex: number;

  /** `tokensPerIndex`: tokens that one index of a table stands for. `mostRowBytes`: of one index in one layer. */
  constructor(trace: Trace, tokensPerIndex: number, mostRowBytes: number) {
    this.#trace = trace;
    this.#tokensPerIndex = tokensPerIndex;
    this.#bits = randomBytes(OFFSETS + mostRowBytes);
  }

  /** The keys (tensor 0) or values (1) of the token at `index` of a request, in one layer. */
  row(request: number, index: number, layer: number, tensor: number, rowBytes: number): Buffer {
    const start = mixed(this.#identity(request, index), index, 2 * layer + tensor) % OFFSETS;
    return this.#bits.subarray(start, start + rowBytes);
  }

  /** Equal for equal tokens after equal prefixes; the last part of a prompt has the number of what it is a part of. */
  #identity(request: number, index: number): number {
    const { prefixIds, promptTokens } = this.#trace.requests[request] as Trace["requests"][number];
    const first = index * this.#tokensPerIndex;
    const last = Math.max(first, Math.min(first + this.#tokensPerIndex, promptTokens) - 1);
    const byIds = this.#tokensPerIndex === this.#trace.tokensPerId ? index : Math.floor(last / this.#trace.tokensPerId);
    const id = first < promptTokens || this.#tokensPerIndex > 1 ? prefixIds?.[byIds] : undefined;
    return id ?? -1 - request;
  }
}

/** An even spread of three numbers over 32 bits. */
function mixed(a: number, b: number, c: number): number {
  let hash = Math.imul((a | 0) ^ Math.floor(a / 2 ** 32), 0x9e3779b1);
  hash = Math.imul(hash ^ (hash >>> 15) ^ b, 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13) ^ c, 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
