import { checkInteger } from "../check.ts";
import { InvalidOptionError } from "../errors.ts";
import type { Trace, TraceRequest } from "./trace.ts";

/**
 * The blocks of every prompt of a trace as numbers from 0, so that equal numbers mean equal tokens up to the end of the
 * block. For block sizes that divide `tokensPerId` or are multiples of it. The last block, which may be partial, counts as
 * one. Made once, it serves replays with any pool and policy.
 */
export class PromptBlocks {
  readonly trace: Trace;
  readonly tokensPerBlock: number;
  /** Of each request, its blocks in order. */
  readonly prompts: readonly Int32Array[];
  readonly #numbers: Map<number, number> = new Map();
  readonly #idNumbers: Map<number, number> = new Map();
  readonly #perId: number;
  readonly #isChained: boolean;
  #count = 0;

  /** @throws InvalidOptionError */
  constructor(trace: Trace, tokensPerBlock: number) {
    checkInteger("tokensPerBlock", tokensPerBlock, 1);
    const ratio = trace.tokensPerId / tokensPerBlock;
    if (!Number.isInteger(ratio) && !Number.isInteger(1 / ratio)) {
      throw new InvalidOptionError("tokensPerBlock", tokensPerBlock, `a divisor or multiple of ${trace.tokensPerId}`);
    }
    this.trace = trace;
    this.tokensPerBlock = tokensPerBlock;
    this.#perId = Math.max(1, ratio);
    this.prompts = trace.requests.map((request) => this.#blocksOf(request));
    this.#isChained = isChained(this.prompts, this.#count);
  }

  /** Different blocks of all prompts. */
  get count(): number {
    return this.#count;
  }

  /** Blocks of a pool that holds all prompts. More than `count` where numbers come after different ones. */
  get mostBlocks(): number {
    return this.#isChained ? this.#count : this.prompts.reduce((sum, { length }) => sum + length, 0);
  }

  #blocksOf({ promptTokens, prefixIds }: TraceRequest): Int32Array {
    if (prefixIds !== undefined && this.tokensPerBlock === this.trace.tokensPerId) {
      // The blocks are the ids themselves, also where the prompt's length says otherwise.
      return Int32Array.from(prefixIds, (id) => this.#numberOf(id));
    }
    const size = this.tokensPerBlock;
    const blocks = new Int32Array(Math.ceil(promptTokens / size));
    for (let block = 0; block < blocks.length; block++) {
      const last = Math.min((block + 1) * size, promptTokens) - 1;
      const id = prefixIds?.[Math.floor(last / this.trace.tokensPerId)];
      const part = Math.floor((last % this.trace.tokensPerId) / size);
      blocks[block] = id === undefined ? this.#count++ : this.#numberOf(this.#idNumberOf(id) * this.#perId + part);
    }
    return blocks;
  }

  #numberOf(key: number): number {
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    this.#numbers.set(key, this.#count);
    return this.#count++;
  }

  /** Ids may be as large as numbers can be exact; the parts of a small number are exact too. */
  #idNumberOf(id: number): number {
    const known = this.#idNumbers.get(id);
    if (known !== undefined) return known;
    this.#idNumbers.set(id, this.#idNumbers.size);
    return this.#idNumbers.size - 1;
  }
}

/** Whether every block comes after the same one each time. */
function isChained(prompts: readonly Int32Array[], count: number): boolean {
  const before = new Int32Array(count).fill(-2);
  return prompts.every((prompt) =>
    prompt.every((block, i) => {
      const previous = i === 0 ? -1 : (prompt[i - 1] as number);
      if (before[block] === -2) before[block] = previous;
      return before[block] === previous;
    }),
  );
}
