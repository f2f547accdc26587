/** Beyond this many tokens or sequences there is no limit worth naming. */
const NO_LIMIT = 2 ** 43;

/** Something that grows with a count, and the budget it must stay within. */
export interface Growing {
  /** Bytes at a count; never less for a larger count. Infinity where they are beyond all numbers. */
  readonly bytesAt: (count: number) => number;
  /** What one more adds in the long run: where this is right, the limit is found at once. 0 if nothing grows. */
  readonly bytesPerCount: number;
  readonly budget: number;
}

/** The largest count whose bytes fit: -1 if not even 0 fits, null if there is no limit. */
export function largestFitting(growing: Growing): number | null {
  const fits = (count: number): boolean => growing.bytesAt(count) <= growing.budget;
  if (!fits(0)) return -1;
  const start = extrapolated(growing);
  const bracket = fits(start) ? above(fits, start) : below(fits, start);
  return bracket === null ? null : lastFitting(fits, ...bracket);
}

/** Where a straight line meets the budget, drawn a second and third time from where the first one led. */
function extrapolated({ bytesAt, bytesPerCount, budget }: Growing): number {
  if (!(bytesPerCount > 0)) return 1;
  let count = clamped(budget / bytesPerCount);
  for (let i = 0; i < 3; i += 1) {
    const bytes = bytesAt(count);
    if (!Number.isFinite(bytes)) return count;
    const next = clamped(count + (budget - bytes) / bytesPerCount);
    if (next === count) return count;
    count = next;
  }
  return count;
}

function clamped(count: number): number {
  return Math.min(Math.max(1, Math.floor(count)), NO_LIMIT);
}

/** A bracket upwards of `low`, which fits; null if nothing up to the limit fails. */
function above(fits: (count: number) => boolean, low: number): [number, number] | null {
  let last = low;
  for (let step = 1; last < NO_LIMIT; step *= 4) {
    const next = Math.min(last + step, NO_LIMIT);
    if (!fits(next)) return [last, next];
    last = next;
  }
  return null;
}

/** A bracket downwards of `high`, which does not fit. */
function below(fits: (count: number) => boolean, high: number): [number, number] {
  let last = high;
  for (let step = 1; last - step > 0; step *= 4) {
    const next = last - step;
    if (fits(next)) return [next, last];
    last = next;
  }
  return [0, last];
}

function lastFitting(fits: (count: number) => boolean, from: number, to: number): number {
  let [low, high] = [from, to];
  while (high - low > 1) {
    const middle = low + Math.floor((high - low) / 2);
    if (fits(middle)) low = middle;
    else high = middle;
  }
  return low;
}
