import type { AttentionDtype } from "@kv/native";
import { isSmall, wantedDtypes } from "./cases.ts";

/** One row of the matrix of attention: a cache, what is in it, and the options. */
export interface AttentionCase {
  readonly name: string;
  readonly dtype: AttentionDtype;
  readonly queryDtype: AttentionDtype;
  readonly outputDtype: AttentionDtype;
  /** Contiguous: one block for each sequence. */
  readonly layout: "contiguous" | "paged";
  readonly axisOrder: "NHD" | "HND";
  /** Paged only. */
  readonly tokensPerBlock: number;
  readonly numKvHeads: number;
  readonly queryHeadsPerKvHead: number;
  readonly keyDim: number;
  readonly valueDim: number;
  /** Tokens of each sequence, query tokens included. */
  readonly lengths: readonly number[];
  /** Decode: query tokens of each sequence. */
  readonly queryLength: number;
  readonly windowTokens: number;
  readonly softCap: number;
  readonly softmaxScale: number | undefined;
  readonly hasSinks: boolean;
  readonly hasAlibi: boolean;
  readonly hasMasks: boolean;
}

const BASE: AttentionCase = {
  name: "",
  dtype: "fp16",
  queryDtype: "fp16",
  outputDtype: "fp16",
  layout: "paged",
  axisOrder: "NHD",
  tokensPerBlock: 16,
  numKvHeads: 2,
  queryHeadsPerKvHead: 4,
  keyDim: 64,
  valueDim: 64,
  lengths: [1, 17, 0, 130, 64, 333],
  queryLength: 1,
  windowTokens: 0,
  softCap: 0,
  softmaxScale: undefined,
  hasSinks: false,
  hasAlibi: false,
  hasMasks: false,
};

type Changes = Partial<Omit<AttentionCase, "name">>;

const ONE_TO_SIXTEEN = Array.from({ length: 16 }, (_, i) => i + 1);
const RAGGED = Array.from({ length: 512 }, (_, i) => (i * 7919) % 61);
const SKEWED = [9000, ...Array.from({ length: 40 }, (_, i) => i)];
const ALL = { windowTokens: 50, softCap: 15, hasSinks: true, hasAlibi: true };

/** What holds for every type of element. */
const OF_EVERY_DTYPE: readonly Changes[] = [
  {},
  { layout: "contiguous" },
  { axisOrder: "HND" },
  { layout: "contiguous", axisOrder: "HND", keyDim: 128, valueDim: 128 },
  { keyDim: 80, valueDim: 80 },
  { keyDim: 96, valueDim: 96, axisOrder: "HND" },
  { keyDim: 128, valueDim: 128, numKvHeads: 8 },
  { keyDim: 192, valueDim: 192 },
  { keyDim: 192, valueDim: 128, hasSinks: true },
  { keyDim: 256, valueDim: 256, lengths: [700, 2] },
  { keyDim: 64, valueDim: 128 },
  { lengths: [1], numKvHeads: 1, queryHeadsPerKvHead: 1 },
  { queryLength: 5, queryHeadsPerKvHead: 3 },
  { ...ALL, queryLength: 3 },
];

/** What does not depend on the type. */
const OF_ONE_DTYPE: readonly Changes[] = [
  ...ONE_TO_SIXTEEN.map((queryHeadsPerKvHead) => ({ queryHeadsPerKvHead })),
  ...[1, 2, 3, 4, 5, 8, 16, 32, 64, 128, 256, 512].map((tokensPerBlock) => ({
    tokensPerBlock,
    lengths: [1100, 3, 513],
  })),
  ...[1, 2, 15, 16, 17, 511, 512, 513, 10_000].map((length) => ({ lengths: [length], numKvHeads: 1 })),
  { lengths: [100_000], numKvHeads: 1, queryHeadsPerKvHead: 2, tokensPerBlock: 64 },
  { lengths: [100_000], numKvHeads: 1, queryHeadsPerKvHead: 2, layout: "contiguous", queryLength: 2 },
  { lengths: [0, 0, 0] },
  { lengths: RAGGED, numKvHeads: 1 },
  { lengths: RAGGED, numKvHeads: 1, layout: "contiguous" },
  { lengths: SKEWED, tokensPerBlock: 32 },
  ...[1, 16, 100, 255, 256, 257, 5000].map((windowTokens) => ({ windowTokens, lengths: [1, 100, 1500, 0] })),
  { windowTokens: 40, queryLength: 7, lengths: [1500, 41, 3] },
  { softCap: 2, softmaxScale: 0.5 },
  { softCap: 50, queryLength: 2 },
  { softmaxScale: 1.5 },
  { hasSinks: true },
  { hasSinks: true, queryLength: 4, windowTokens: 9 },
  { hasAlibi: true },
  { hasAlibi: true, queryLength: 6 },
  ...[2, 3, 4, 8, 15, 16].map((queryLength) => ({ queryLength, lengths: [16, 5, 0, 300] })),
  ...[1, 3, 8, 16].map((queryLength) => ({ queryLength, hasMasks: true, lengths: [16, 5, 0, 300] })),
  { ...ALL, hasMasks: true, queryLength: 16, queryHeadsPerKvHead: 16, lengths: [1100, 7] },
  { ...ALL, layout: "contiguous", queryLength: 2, lengths: [400, 7] },
  { queryDtype: "fp32", outputDtype: "fp32" },
  { dtype: "fp32", queryDtype: "fp16", outputDtype: "bf16" },
  { dtype: "bf16", queryDtype: "fp32", outputDtype: "fp32", ...ALL },
];

const SHORT = { lengths: [1, 70, 0, 33] };

/** A small matrix: one row for each kernel and type, paged and contiguous, one group size, short lengths. */
const SMALL_OF_EVERY_DTYPE: readonly Changes[] = [
  SHORT,
  { layout: "contiguous", axisOrder: "HND", keyDim: 128, valueDim: 128, lengths: [600, 5] },
  { ...SHORT, keyDim: 80, valueDim: 80 },
  { ...SHORT, keyDim: 192, valueDim: 128 },
  { ...SHORT, keyDim: 256, valueDim: 256, numKvHeads: 1 },
];

const SMALL_OF_ONE_DTYPE: readonly Changes[] = [
  { ...SHORT, keyDim: 96, valueDim: 96 },
  { ...SHORT, ...ALL, queryLength: 3 },
  { ...SHORT, hasMasks: true, queryLength: 16 },
  { dtype: "bf16", queryDtype: "fp32", outputDtype: "fp32", ...SHORT },
];

/** The matrix, or the part that KV_TEST_DTYPES names; with KV_TEST_SMALL=1 the small one. */
export function decodeCases(): AttentionCase[] {
  const [every, one] = isSmall ? [SMALL_OF_EVERY_DTYPE, SMALL_OF_ONE_DTYPE] : [OF_EVERY_DTYPE, OF_ONE_DTYPE];
  const dtypes = (["fp16", "bf16", "fp32"] as const).filter((dtype) => wantedDtypes().includes(dtype));
  const ofDtypes = dtypes.flatMap((dtype) => {
    const changed = { dtype, queryDtype: dtype, outputDtype: dtype };
    return every.map((changes) => ({ ...changed, ...changes }));
  });
  const ofOne = dtypes.length === 0 ? [] : one;
  return [...ofDtypes, ...ofOne].map(attentionCase);
}

/** A case that differs from the simplest one in what is given, with a name that says it. */
export function attentionCase(changes: Changes): AttentionCase {
  const texts = Object.entries(changes).map(([key, value]) => `${key} ${textOf(value)}`);
  return { ...BASE, ...changes, name: texts.join(", ") || "plain" };
}

function textOf(value: unknown): string {
  if (!Array.isArray(value) || value.length < 7) return String(value);
  return `${value.slice(0, 3)} … ${value.length} of them`;
}

/** A batch of prompts: the last `queryLengths` tokens of each sequence are the new ones. */
export interface PrefillCase extends AttentionCase {
  readonly queryLengths: readonly number[];
}

type PrefillChanges = Changes & { readonly queryLengths?: readonly number[] };

const PREFILL_OF_EVERY_DTYPE: readonly PrefillChanges[] = [
  {},
  { layout: "contiguous" },
  { axisOrder: "HND", keyDim: 128, valueDim: 128 },
  { keyDim: 80, valueDim: 80, queryHeadsPerKvHead: 3 },
  { keyDim: 96, valueDim: 96 },
  { keyDim: 192, valueDim: 128 },
  { keyDim: 192, valueDim: 192, numKvHeads: 1 },
  { keyDim: 256, valueDim: 256, numKvHeads: 1 },
  { windowTokens: 33, softCap: 10, hasSinks: true },
];

const PREFILL_OF_ONE_DTYPE: readonly PrefillChanges[] = [
  ...ONE_TO_SIXTEEN.map((queryHeadsPerKvHead) => ({ queryHeadsPerKvHead, numKvHeads: 1 })),
  ...[1, 2, 5, 8, 32, 64, 128, 256, 512].map((tokensPerBlock) => ({ tokensPerBlock })),
  ...[1, 17, 128, 1000].map((windowTokens) => ({ windowTokens })),
  { lengths: [400, 1000], queryLengths: [64, 1], softCap: 3 },
  { lengths: [1500], queryLengths: [40], numKvHeads: 1, tokensPerBlock: 64, queryHeadsPerKvHead: 2 },
  { lengths: [100_000], queryLengths: [4], numKvHeads: 1, queryHeadsPerKvHead: 2, tokensPerBlock: 64 },
  { lengths: [1], queryLengths: [1] },
  {
    lengths: [3000, ...Array.from({ length: 40 }, (_, i) => i)],
    queryLengths: [3, ...Array.from({ length: 40 }, (_, i) => i % 7)],
  },
  // Sequences with no new token, with no token at all, and shorter than their query tokens.
  { lengths: [10, 0, 3, 0, 20], queryLengths: [0, 0, 7, 4, 20] },
  {
    lengths: Array.from({ length: 512 }, (_, i) => i % 9),
    queryLengths: Array.from({ length: 512 }, (_, i) => i % 5),
    numKvHeads: 1,
  },
  { hasSinks: true },
  { queryDtype: "fp32", outputDtype: "fp32" },
  { dtype: "bf16", queryDtype: "fp32", outputDtype: "fp16", softmaxScale: 0.3 },
];

const SMALL_PREFILL_OF_EVERY_DTYPE: readonly PrefillChanges[] = [
  {},
  { layout: "contiguous", axisOrder: "HND", keyDim: 128, valueDim: 128 },
  { keyDim: 80, valueDim: 80, numKvHeads: 1 },
  { keyDim: 192, valueDim: 128, numKvHeads: 1 },
  { keyDim: 256, valueDim: 256, numKvHeads: 1 },
];

const SMALL_PREFILL_OF_ONE_DTYPE: readonly PrefillChanges[] = [
  { keyDim: 96, valueDim: 96 },
  { windowTokens: 33, softCap: 10, hasSinks: true },
  { queryDtype: "fp32", outputDtype: "fp32" },
];

/** The matrix of prefill, or the part that KV_TEST_DTYPES names; with KV_TEST_SMALL=1 the small one. */
export function prefillCases(): PrefillCase[] {
  const [every, one] = isSmall
    ? [SMALL_PREFILL_OF_EVERY_DTYPE, SMALL_PREFILL_OF_ONE_DTYPE]
    : [PREFILL_OF_EVERY_DTYPE, PREFILL_OF_ONE_DTYPE];
  const base = isSmall
    ? { lengths: [1, 20, 90], queryLengths: [1, 20, 9] }
    : { lengths: [1, 50, 33, 270], queryLengths: [1, 50, 20, 9] };
  const dtypes = (["fp16", "bf16", "fp32"] as const).filter((dtype) => wantedDtypes().includes(dtype));
  const ofDtypes = dtypes.flatMap((dtype) =>
    every.map((changes) => ({ dtype, queryDtype: dtype, outputDtype: dtype, ...changes })),
  );
  const all: PrefillChanges[] = [...ofDtypes, ...(dtypes.length === 0 ? [] : one)];
  return all.map(({ queryLengths = base.queryLengths, ...changes }) => {
    const { name, ...rest } = attentionCase({ lengths: base.lengths, ...changes });
    return { ...rest, queryLengths, name: `${name}, queryLengths ${textOf(queryLengths)}` };
  });
}
