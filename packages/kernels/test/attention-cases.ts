import type { AttentionDtype } from "@kv/native";
import { wantedDtypes } from "./cases.ts";

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
  ...[1, 2, 3, 5, 6, 7, 8, 12, 16].map((queryHeadsPerKvHead) => ({ queryHeadsPerKvHead })),
  ...[1, 2, 5, 8, 16, 32, 64, 128, 256, 512].map((tokensPerBlock) => ({ tokensPerBlock, lengths: [1100, 3, 513] })),
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

/** The matrix, or the part that KV_TEST_DTYPES names. */
export function decodeCases(): AttentionCase[] {
  const dtypes = (["fp16", "bf16", "fp32"] as const).filter((dtype) => wantedDtypes().includes(dtype));
  const ofDtypes = dtypes.flatMap((dtype) => {
    const changed = { dtype, queryDtype: dtype, outputDtype: dtype };
    return OF_EVERY_DTYPE.map((changes) => ({ ...changed, ...changes }));
  });
  const ofOne = dtypes.length === 0 ? [] : OF_ONE_DTYPE;
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
  ...[1, 2, 7, 8, 16].map((queryHeadsPerKvHead) => ({ queryHeadsPerKvHead, numKvHeads: 1 })),
  ...[1, 5, 64, 256, 512].map((tokensPerBlock) => ({ tokensPerBlock })),
  ...[1, 17, 128, 1000].map((windowTokens) => ({ windowTokens })),
  { lengths: [400, 1000], queryLengths: [64, 1], softCap: 3 },
  { lengths: [1500], queryLengths: [40], numKvHeads: 1, tokensPerBlock: 64, queryHeadsPerKvHead: 2 },
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

/** The matrix of prefill, or the part that KV_TEST_DTYPES names. */
export function prefillCases(): PrefillCase[] {
  const base = { lengths: [1, 50, 33, 270], queryLengths: [1, 50, 20, 9] };
  const dtypes = (["fp16", "bf16", "fp32"] as const).filter((dtype) => wantedDtypes().includes(dtype));
  const ofDtypes = dtypes.flatMap((dtype) =>
    PREFILL_OF_EVERY_DTYPE.map((changes) => ({ dtype, queryDtype: dtype, outputDtype: dtype, ...changes })),
  );
  const all: PrefillChanges[] = [...ofDtypes, ...(dtypes.length === 0 ? [] : PREFILL_OF_ONE_DTYPE)];
  return all.map(({ queryLengths = base.queryLengths, ...changes }) => {
    const { name, ...rest } = attentionCase({ lengths: base.lengths, ...changes });
    return { ...rest, queryLengths, name: `${name}, queryLengths ${textOf(queryLengths)}` };
  });
}
