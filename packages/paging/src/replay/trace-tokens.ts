import { checkInteger } from "../check.ts";
import { InvalidOptionError } from "../errors.ts";
import { mix32 } from "../prefix-hash.ts";
import type { Trace, TraceRequest } from "./trace.ts";

const VOCABULARY = 128000;
const OUTPUT_TOKENS_PER_REQUEST = 2048;

/**
 * Writes the tokens of a prompt to the beginning of `into`: token `j` of prefix id `h` is `fmix32(h * 512 + j) % 128000`.
 * A request without ids gets a stream of its own.
 */
export function writePromptTokens(trace: Trace, request: number, into: Int32Array): void {
  const { promptTokens, prefixIds } = trace.requests[request] as TraceRequest;
  const size = trace.tokensPerId;
  const stream = mix32(request + 1);
  for (let start = 0, i = 0; start < promptTokens; start += size, i++) {
    const first = prefixIds === undefined ? mix32(stream ^ start) : (prefixIds[i] as number) * size;
    const end = Math.min(size, promptTokens - start);
    for (let j = 0; j < end; j++) into[start + j] = (mix32((first + j) | 0) >>> 0) % VOCABULARY;
  }
}

/** Token `t` of the answer to a request, which no prompt has: `fmix32(0x80000000 + request * 2048 + t) % 128000`. */
export function outputToken(request: number, t: number): number {
  return (mix32((0x80000000 + request * OUTPUT_TOKENS_PER_REQUEST + t) | 0) >>> 0) % VOCABULARY;
}

/**
 * Numbers each block of a prompt, so that equal numbers mean equal tokens up to the end of the block. For block sizes that
 * divide `tokensPerId` or are multiples of it. The last block, which may be partial, counts as one.
 */
export class BlockNumbers {
  readonly #numbers: Map<number, number> = new Map();
  readonly #perId: number;

  constructor(
    readonly trace: Trace,
    readonly tokensPerBlock: number,
  ) {
    checkInteger("tokensPerBlock", tokensPerBlock, 1);
    const ratio = trace.tokensPerId / tokensPerBlock;
    if (!Number.isInteger(ratio) && !Number.isInteger(1 / ratio)) {
      throw new InvalidOptionError("tokensPerBlock", tokensPerBlock, `a divisor or multiple of ${trace.tokensPerId}`);
    }
    this.#perId = Math.max(1, ratio);
  }

  /** Different blocks seen so far. */
  get count(): number {
    return this.#numbers.size;
  }

  /** The numbers of a request's blocks, in order. */
  of(request: number): Int32Array {
    const { promptTokens, prefixIds } = this.trace.requests[request] as TraceRequest;
    const size = this.tokensPerBlock;
    const numbers = new Int32Array(Math.ceil(promptTokens / size));
    for (let block = 0; block < numbers.length; block++) {
      const last = Math.min((block + 1) * size, promptTokens) - 1;
      const i = Math.floor(last / this.trace.tokensPerId);
      const part = Math.floor((last % this.trace.tokensPerId) / size);
      // Prompts without ids share nothing: negative keys that no other request has.
      const key =
        prefixIds === undefined ? -1 - request * 2 ** 20 - block : (prefixIds[i] as number) * this.#perId + part;
      numbers[block] = this.#number(key);
    }
    return numbers;
  }

  #number(key: number): number {
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    this.#numbers.set(key, this.#numbers.size);
    return this.#numbers.size - 1;
  }
}
