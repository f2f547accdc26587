import { mix32 } from "../prefix-hash.ts";
import type { Trace, TraceRequest } from "./trace.ts";

const VOCABULARY = 128000;
const OUTPUT_TOKENS_PER_REQUEST = 2048;
/** `id * tokensPerId` has 32 bits for ids below this where an id stands for 512 tokens. */
const LOW_IDS = 2 ** 23;

/**
 * Writes the tokens of a prompt to the beginning of `into`: token `j` of prefix id `h` is `fmix32(h * 512 + j) % 128000`.
 * What an id has beyond 23 bits, or a sign, chooses another such stream; what has no id gets one of its own.
 */
export function writePromptTokens(trace: Trace, request: number, into: Int32Array): void {
  const { promptTokens, prefixIds } = trace.requests[request] as TraceRequest;
  const size = trace.tokensPerId;
  const stream = mix32(request + 1);
  for (let start = 0, i = 0; start < promptTokens; start += size, i++) {
    const id = prefixIds?.[i];
    const high = id === undefined ? 0 : Math.floor(id / LOW_IDS);
    const first = id === undefined ? mix32(stream ^ start) : (id - high * LOW_IDS) * size;
    const other = mix32(high);
    const end = Math.min(size, promptTokens - start);
    for (let j = 0; j < end; j++) into[start + j] = (mix32(((first + j) ^ other) | 0) >>> 0) % VOCABULARY;
  }
}

/** Token `t` of the answer to a request, which no prompt has: `fmix32(0x80000000 + request * 2048 + t) % 128000`. */
export function outputToken(request: number, t: number): number {
  return (mix32((0x80000000 + request * OUTPUT_TOKENS_PER_REQUEST + t) | 0) >>> 0) % VOCABULARY;
}
