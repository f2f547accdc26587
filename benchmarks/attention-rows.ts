/** A batch whose attention is timed: every sequence's last `newTokens` tokens, over all that it has. */
export interface AttentionRow {
  readonly name: string;
  /** Tokens of each sequence, the new ones included. */
  readonly lengths: readonly number[];
  readonly newTokens: number;
  readonly numQueryHeads: number;
  readonly numKvHeads: number;
  readonly headDim: number;
}

const LLAMA_8B = { numQueryHeads: 32, numKvHeads: 8, headDim: 128 };
const KIBI = 1024;

function alike(batch: number, length: number): number[] {
  return Array.from({ length: batch }, () => length);
}

/** Lengths from 1 to 16,000, the same in every run. */
function ragged(batch: number): number[] {
  return Array.from({ length: batch }, (_, i) => 1 + ((i * 7919 + 3571) % 16_000));
}

function decodeRow(name: string, lengths: number[], heads: typeof LLAMA_8B = LLAMA_8B): AttentionRow {
  return { name, lengths, newTokens: 1, ...heads };
}

function prefillRow(name: string, batch: number, newTokens: number, length: number): AttentionRow {
  return { name, lengths: alike(batch, length), newTokens, ...LLAMA_8B };
}

/** Decode steps, of which those of large batches read 0.5 to 2 GiB. */
export const DECODE_ROWS: readonly AttentionRow[] = [
  decodeRow("16 x 8K", alike(16, 8 * KIBI)),
  decodeRow("64 x 8K", alike(64, 8 * KIBI)),
  decodeRow("256 x 1K", alike(256, KIBI)),
  decodeRow("1 x 128K", alike(1, 128 * KIBI)),
  decodeRow("64 of 1 to 16,000", ragged(64)),
  decodeRow("1 x 128K and 63 x 512", [128 * KIBI, ...alike(63, 512)]),
  decodeRow("1 x 8K", alike(1, 8 * KIBI)),
  decodeRow("1 x 32K", alike(1, 32 * KIBI)),
  decodeRow("32 x 8K, 28/4 heads", alike(32, 8 * KIBI), { numQueryHeads: 28, numKvHeads: 4, headDim: 128 }),
  decodeRow("128 x 8K, 14/2 heads of 64", alike(128, 8 * KIBI), { numQueryHeads: 14, numKvHeads: 2, headDim: 64 }),
];

/** For the host, whose memory is slower. */
export const SMALL_DECODE_ROWS: readonly AttentionRow[] = [
  decodeRow("4 x 8K", alike(4, 8 * KIBI)),
  decodeRow("64 x 512", alike(64, 512)),
];

export const PREFILL_ROWS: readonly AttentionRow[] = [
  prefillRow("1 x 8K", 1, 8 * KIBI, 8 * KIBI),
  prefillRow("1 x 32K", 1, 32 * KIBI, 32 * KIBI),
  prefillRow("8 x 4K", 8, 4 * KIBI, 4 * KIBI),
  prefillRow("1K on 31K", 1, KIBI, 32 * KIBI),
];

export const SMALL_PREFILL_ROWS: readonly AttentionRow[] = [prefillRow("1 x 1K", 1, KIBI, KIBI)];

/** Keys and values that a row reads, in 16-bit elements. */
export function bytesOf({ lengths, numKvHeads, headDim }: AttentionRow): number {
  return lengths.reduce((sum, length) => sum + length, 0) * 2 * numKvHeads * headDim * 2;
}

/** Multiplications and additions of both products over what causal attention sees. */
export function operationsOf({ lengths, newTokens, numQueryHeads, headDim }: AttentionRow): number {
  const seen = lengths.reduce(
    (sum, length) => sum + newTokens * (length - newTokens) + (newTokens * (newTokens + 1)) / 2,
    0,
  );
  return 4 * seen * numQueryHeads * headDim;
}
