import { InvalidConfigError } from "./errors.ts";

const BINARY_UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] as const;

/** How `formatBytes` writes. */
export interface FormatBytesOptions {
  /** Adds the count itself: `25,165,824 bytes (24 MiB)`. For whole numbers of bytes. */
  readonly exact?: boolean;
}

/**
 * Bytes for people, in binary units with at most two decimals: `24 MiB`, `2.5 GiB`, `-1.21 GiB`.
 *
 * @throws InvalidConfigError if `bytes` is not a finite number
 */
export function formatBytes(bytes: number, options: FormatBytesOptions = {}): string {
  if (!Number.isFinite(bytes)) throw new InvalidConfigError("bytes", bytes, "a finite number");
  const size = Math.abs(bytes);
  let unit = 0;
  // Compares what will be printed, so that one byte under a MiB is "1 MiB" and never "1024 KiB".
  while (unit < BINARY_UNITS.length - 1 && roundedTo2(size / 1024 ** unit) >= 1024) unit += 1;
  const text = `${Math.sign(bytes) * roundedTo2(size / 1024 ** unit)} ${BINARY_UNITS[unit]}`;
  if (options.exact !== true) return text;
  return size < 1024 ? `${bytes} bytes` : `${bytes.toLocaleString("en-US")} bytes (${text})`;
}

const UNIT_BYTES: Readonly<Record<string, number>> = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};

/**
 * Bytes from text such as `80GiB`, `24 GB` (decimal, as the letters say), `1.5 MiB` or `1048576`, rounded down to a whole
 * byte. Upper and lower case mean the same. `80G` is refused: it could be either.
 *
 * @throws InvalidConfigError if the text is not a size, or beyond `Number.MAX_SAFE_INTEGER`
 */
export function parseBytes(text: string): number {
  const match = typeof text === "string" ? /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(text) : null;
  const unit = UNIT_BYTES[(match?.[2] || "b").toLowerCase()];
  const bytes = match && unit !== undefined ? Math.floor(Number(match[1]) * unit) : Number.NaN;
  if (Number.isSafeInteger(bytes)) return bytes;
  throw new InvalidConfigError("size", text, 'a number with B, KB, MB, GB, TB, KiB, MiB, GiB or TiB, as in "80GiB"');
}

function roundedTo2(value: number): number {
  return Math.round(value * 100) / 100;
}
