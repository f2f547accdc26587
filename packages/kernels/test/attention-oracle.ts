/** Keys or values of one sequence: [token][kv head] -> numbers of the head's width. */
export type Heads = readonly (readonly Float64Array[])[];

/** One query head of one query token. */
export interface AttentionQuestion {
  readonly query: Float64Array;
  /** The keys and values of the head that it reads, of every token of the sequence. */
  readonly keys: readonly Float64Array[];
  readonly values: readonly Float64Array[];
  readonly valueDim: number;
  /** Positions that it sees. */
  readonly seen: readonly number[];
  /** Its own. */
  readonly position: number;
  readonly softmaxScale: number;
  readonly softCap: number;
  readonly alibiSlope: number;
  /** -Infinity: none */
  readonly sink: number;
}

export interface AttentionAnswer {
  readonly output: Float64Array;
  readonly logSumExp: number;
  /** The greatest magnitude among the values it sees, and of scale * |q| * |k|: what rounding errors grow with. */
  readonly greatestValue: number;
  readonly greatestScore: number;
}

/** Attention by its definition, in float64. Knows no blocks, no strides, no batches and no native code. */
export function attend(question: AttentionQuestion): AttentionAnswer {
  const { query, keys, values, valueDim, seen, sink } = question;
  const logits = seen.map((position) => logit(question, keys[position] ?? new Float64Array()));
  seen.forEach((position, i) => {
    logits[i] = (logits[i] ?? 0) + question.alibiSlope * (position - question.position);
  });
  const greatest = logits.reduce((most, each) => Math.max(most, each), sink);
  const shift = Number.isFinite(greatest) ? greatest : 0;
  let denominator = Math.exp(sink - shift);
  let greatestValue = 0;
  let greatestKey = 0;
  const output = new Float64Array(valueDim);
  seen.forEach((position, i) => {
    const weight = Math.exp((logits[i] ?? 0) - shift);
    denominator += weight;
    const value = values[position] ?? new Float64Array();
    for (let j = 0; j < valueDim; j++) {
      const element = value[j] ?? Number.NaN;
      output[j] = (output[j] ?? 0) + weight * element;
      if (Math.abs(element) > greatestValue) greatestValue = Math.abs(element);
    }
    greatestKey = Math.max(greatestKey, norm(keys[position] ?? new Float64Array()));
  });
  for (let j = 0; j < valueDim; j++) output[j] = denominator === 0 ? 0 : (output[j] ?? 0) / denominator;
  const greatestScore = Math.abs(question.softmaxScale) * norm(query) * greatestKey;
  return { output, logSumExp: shift + Math.log(denominator), greatestValue, greatestScore };
}

function logit({ query, softmaxScale, softCap }: AttentionQuestion, key: Float64Array): number {
  let score = 0;
  for (let i = 0; i < query.length; i++) score += (query[i] ?? 0) * (key[i] ?? Number.NaN);
  score *= softmaxScale;
  return softCap > 0 ? softCap * Math.tanh(score / softCap) : score;
}

function norm(vector: Float64Array): number {
  return Math.sqrt(vector.reduce((sum, each) => sum + each * each, 0));
}

/** Positions that query token `token` of `queryLength` sees in a sequence of `length` tokens. */
export function seenBy(
  length: number,
  queryLength: number,
  token: number,
  windowTokens: number,
  mask: number | undefined,
): number[] {
  const own = length - queryLength + token;
  const seen: number[] = [];
  if (own < 0) return seen;
  const first = windowTokens > 0 ? Math.max(0, own - windowTokens + 1) : 0;
  for (let position = first; position < length; position++) {
    const among = position - (length - queryLength);
    const isSeen = among < 0 || (mask === undefined ? among <= token : Math.floor(mask / 2 ** among) % 2 === 1);
    if (isSeen) seen.push(position);
  }
  return seen;
}

/**
 * The most that a result of the kernels may be off, for one row. Inputs are exact; sums are in fp32.
 *
 * A logit's sum of `keyDim` products errs by at most keyDim * 2^-24 of |q| |k| times the scale, and the soft cap never
 * makes that more. An error d of the logits changes every weight, and their sum, by a part d, so the output by 2 d of the
 * greatest value. 2^-18 covers exp and the sums over tokens; weights that a kernel rounds to the cache's type before they
 * meet the values err by `weightRoundoff`; the output is rounded to its type.
 */
export function allowedError(
  answer: AttentionAnswer,
  keyDim: number,
  weightRoundoff: number,
  outputRoundoff: number,
): { output: number; logSumExp: number } {
  const ofLogits = keyDim * 2 ** -24 * answer.greatestScore + 2 ** -18;
  return {
    output: answer.greatestValue * (2 * ofLogits + weightRoundoff + outputRoundoff),
    logSumExp: ofLogits + 2 ** -22 * Math.abs(Number.isFinite(answer.logSumExp) ? answer.logSumExp : 0),
  };
}
