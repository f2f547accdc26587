import { SizeOverflowError } from "./errors.ts";

/**
 * Product of whole numbers, exact. `what` names the result in the error.
 *
 * @throws SizeOverflowError if it is beyond `Number.MAX_SAFE_INTEGER`
 */
export function exactProduct(what: string, ...factors: readonly number[]): number {
  // A product of doubles below 2^53 was exact at every step only if no step passed 2^53: whole factors never shrink it.
  const product = factors.includes(0) ? 0 : factors.reduce((left, right) => left * right, 1);
  if (product <= Number.MAX_SAFE_INTEGER) return product;
  throw new SizeOverflowError(
    what,
    factors.reduce((left, right) => left * BigInt(right), 1n),
  );
}

/**
 * Sum of whole numbers, exact. `what` names the result in the error.
 *
 * @throws SizeOverflowError if it is beyond `Number.MAX_SAFE_INTEGER`
 */
export function exactSum(what: string, parts: readonly number[]): number {
  const sum = parts.reduce((left, right) => left + right, 0);
  if (sum <= Number.MAX_SAFE_INTEGER) return sum;
  throw new SizeOverflowError(
    what,
    parts.reduce((left, right) => left + BigInt(Math.ceil(right)), 0n),
  );
}
