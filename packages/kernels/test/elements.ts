import type { KvDtype } from "@kv/config";

/** How numbers are written as elements of a type, worked out from its widths alone. */
interface FloatFormat {
  readonly bits: 16 | 32;
  readonly fractionBits: number;
  readonly leastExponent: number;
}

const FORMATS: Partial<Record<KvDtype, FloatFormat>> = {
  fp16: { bits: 16, fractionBits: 10, leastExponent: -14 },
  bf16: { bits: 16, fractionBits: 7, leastExponent: -126 },
  fp32: { bits: 32, fractionBits: 23, leastExponent: -126 },
};

function formatOf(dtype: KvDtype): FloatFormat {
  const format = FORMATS[dtype];
  if (format === undefined) throw new Error(`no format of ${dtype} in these tests`);
  return format;
}

/** The most that rounding to the type changes a number, as a part of it. */
export function unitRoundoff(dtype: KvDtype): number {
  return 2 ** -(formatOf(dtype).fractionBits + 1);
}

/** The nearest number that the type has; of two, the one whose last bit is 0. */
export function rounded(value: number, dtype: KvDtype): number {
  const { fractionBits, leastExponent } = formatOf(dtype);
  if (value === 0) return 0;
  const exponent = Math.max(Math.floor(Math.log2(Math.abs(value))), leastExponent);
  const unit = 2 ** (exponent - fractionBits);
  const units = value / unit;
  const below = Math.floor(units);
  const part = units - below;
  return (part > 0.5 || (part === 0.5 && below % 2 !== 0) ? below + 1 : below) * unit;
}

/** Numbers of a type as its bytes. They must be numbers that the type has. */
export function encode(values: ArrayLike<number>, dtype: KvDtype): Uint8Array {
  const floats = Float32Array.from(values);
  if (dtype === "fp32") return new Uint8Array(floats.buffer);
  const words = new Uint16Array(floats.length);
  const bits = new Uint32Array(floats.buffer);
  for (let i = 0; i < words.length; i++) {
    words[i] = dtype === "bf16" ? (bits[i] ?? 0) >>> 16 : halfBits(floats[i] ?? 0);
  }
  return new Uint8Array(words.buffer);
}

/** The numbers that bytes of a type stand for. */
export function decode(bytes: Uint8Array, dtype: KvDtype): Float64Array {
  const { bits, fractionBits } = formatOf(dtype);
  const copy = bytes.slice().buffer;
  if (bits === 32) return Float64Array.from(new Float32Array(copy));
  const words = new Uint16Array(copy);
  return Float64Array.from(words, (word) => number16(word, fractionBits));
}

/** Elements that no result may depend on: not a number, and both infinities, by turns. */
export function poison(sizeBytes: number, dtype: KvDtype): Uint8Array {
  const isNarrow = formatOf(dtype).bits === 16;
  const infinity = dtype === "fp16" ? 0x7c00 : 0x7f80;
  const words = isNarrow ? new Uint16Array(sizeBytes / 2) : new Uint32Array(sizeBytes / 4);
  const patterns = isNarrow ? [0xffff, infinity, infinity | 0x8000] : [0xffffffff, 0x7f800000, 0xff800000];
  for (let i = 0; i < words.length; i++) words[i] = patterns[i % 3] ?? 0;
  return new Uint8Array(words.buffer);
}

function halfBits(value: number): number {
  const sign = value < 0 ? 0x8000 : 0;
  const magnitude = Math.abs(value);
  if (magnitude < 2 ** -14) return sign | (magnitude * 2 ** 24);
  const exponent = Math.floor(Math.log2(magnitude));
  return sign | ((exponent + 15) << 10) | (magnitude * 2 ** (10 - exponent) - 1024);
}

function number16(word: number, fractionBits: number): number {
  const exponentBits = 15 - fractionBits;
  const bias = 2 ** (exponentBits - 1) - 1;
  const sign = word >= 0x8000 ? -1 : 1;
  const exponent = (word >> fractionBits) & (2 ** exponentBits - 1);
  const fraction = (word & (2 ** fractionBits - 1)) / 2 ** fractionBits;
  if (exponent === 2 ** exponentBits - 1) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0 ? sign * fraction * 2 ** (1 - bias) : sign * (1 + fraction) * 2 ** (exponent - bias);
}
