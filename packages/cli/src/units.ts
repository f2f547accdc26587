const RATE_UNITS = ["B/s", "kB/s", "MB/s", "GB/s", "TB/s"] as const;

/** A duration for people: "38.2 µs", "12.3 ms", "1.53 s". */
export function formatDuration(ms: number): string {
  if (ms < 1) return `${threeDigits(ms * 1000)} µs`;
  return ms < 1000 ? `${threeDigits(ms)} ms` : `${threeDigits(ms / 1000)} s`;
}

/** A rate for people in decimal units, as data sheets give them: "3.81 TB/s". */
export function formatRate(bytesPerSecond: number): string {
  let value = bytesPerSecond;
  let unit = 0;
  while (value >= 999.5 && unit < RATE_UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${threeDigits(value)} ${RATE_UNITS[unit]}`;
}

/** A whole number for people: "25,165,824". */
export function formatCount(count: number): string {
  return count.toLocaleString("en-US");
}

/** Bytes per second; 0 when no time was measured. */
export function rateOf(bytes: number, ms: number): number {
  return ms > 0 ? Math.round((bytes / ms) * 1000) : 0;
}

function threeDigits(value: number): string {
  const digits = value < 10 ? 2 : value < 100 ? 1 : 0;
  return value.toFixed(digits);
}
