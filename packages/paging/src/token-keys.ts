import { checkInteger } from "./check.ts";
import { InvalidOptionError, InvalidTokenError } from "./errors.ts";
import { type Namespace, namespaceKey } from "./namespace.ts";

/** Tokens whose meaning depends on more than their number: an image's place holders, say. */
export interface KeyedRange {
  /** First position. */
  start: number;
  /** Behind the last position. */
  end: number;
  /** What they stand for: the hash of the image, or any bytes. */
  key: Namespace;
}

/**
 * Turns a token together with its key into one number that no token and no other pair has, so that comparing numbers
 * proves both. Such numbers are negative and live as long as a sequence or a stored prefix has them.
 */
export class TokenKeys {
  readonly #symbols: Map<string, number> = new Map();
  readonly #keys: Map<number, string> = new Map();
  readonly #uses: Map<number, number> = new Map();
  #next = -1;

  /** Whether any keyed token is alive. While there is none, nobody has to look for them. */
  get isEmpty(): boolean {
    return this.#uses.size === 0;
  }

  /** How many different keyed tokens are alive. */
  get size(): number {
    return this.#uses.size;
  }

  /** A copy of `tokens` in which those in the ranges are replaced, each counted as one use; `tokens` without ranges. */
  apply(tokens: Int32Array, ranges: readonly KeyedRange[] | undefined): Int32Array {
    if (ranges === undefined || ranges.length === 0) return tokens;
    const keys = checkRanges(ranges, tokens.length);
    const keyed = tokens.slice();
    ranges.forEach(({ start, end }, range) => {
      for (let i = start; i < end; i++) keyed[i] = this.#symbol(`${keyed[i]}/${keys[range]}`);
    });
    this.retain(keyed);
    return keyed;
  }

  /** Counts one more use of each keyed token. */
  retain(tokens: Int32Array): void {
    for (const token of tokens) if (token < 0) this.#uses.set(token, (this.#uses.get(token) ?? 0) + 1);
  }

  /** Counts one use less of each; a keyed token that nobody uses is forgotten. */
  release(tokens: Int32Array): void {
    for (const token of tokens) {
      if (token >= 0) continue;
      const uses = (this.#uses.get(token) as number) - 1;
      if (uses > 0) this.#uses.set(token, uses);
      else this.#forget(token);
    }
  }

  #symbol(key: string): number {
    const known = this.#symbols.get(key);
    if (known !== undefined) return known;
    const symbol = this.#next--;
    this.#symbols.set(key, symbol);
    this.#keys.set(symbol, key);
    return symbol;
  }

  #forget(symbol: number): void {
    this.#symbols.delete(this.#keys.get(symbol) as string);
    this.#keys.delete(symbol);
    this.#uses.delete(symbol);
  }
}

/** The exact keys of the ranges. @throws InvalidOptionError if they leave the tokens or overlap */
function checkRanges(ranges: readonly KeyedRange[], numTokens: number): string[] {
  for (const { start, end } of ranges) {
    checkInteger("start of a keyed range", start, 0, numTokens);
    checkInteger("end of a keyed range", end, start, numTokens);
  }
  const sorted = [...ranges].sort((a, b) => a.start - b.start);
  sorted.forEach(({ start }, i) => {
    const before = sorted[i - 1]?.end ?? 0;
    if (start < before) throw new InvalidOptionError("start of a keyed range", start, `${before} or more: no overlap`);
  });
  return ranges.map(({ key }) => namespaceKey(key));
}

/** The tokens as the index stores them. @throws InvalidTokenError if one is no token */
export function checkTokens(tokens: Int32Array | readonly number[]): Int32Array {
  if (tokens instanceof Int32Array) {
    checkSigns(tokens);
    return tokens;
  }
  const checked = new Int32Array(tokens.length);
  for (let i = 0; i < tokens.length; i++) checked[i] = checkToken(tokens[i], i);
  return checked;
}

/** @throws InvalidTokenError if `token` is none */
export function checkToken(token: unknown, position: number): number {
  if (typeof token === "number" && (token | 0) === token && token >= 0) return token;
  throw new InvalidTokenError(position, token);
}

function checkSigns(tokens: Int32Array): void {
  let signs = 0;
  let i = 0;
  for (; i + 3 < tokens.length; i += 4) {
    signs |= (tokens[i] as number) | (tokens[i + 1] as number);
    signs |= (tokens[i + 2] as number) | (tokens[i + 3] as number);
  }
  for (; i < tokens.length; i++) signs |= tokens[i] as number;
  if (signs >= 0) return;
  const position = tokens.findIndex((token) => token < 0);
  throw new InvalidTokenError(position, tokens[position]);
}
