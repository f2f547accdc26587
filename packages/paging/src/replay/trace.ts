/** Most tokens of a prompt or an answer that the readers take: far above any model's context, and no array of them fails. */
export const MOST_TRACE_TOKENS: number = 2 ** 28;

/** One request of a trace. */
export interface TraceRequest {
  /** Milliseconds from the beginning of the trace. */
  readonly arrivalMs: number;
  readonly promptTokens: number;
  readonly outputTokens: number;
  /**
   * One number for each `tokensPerId` tokens of the prompt, the last perhaps for fewer. Equal numbers mean equal tokens
   * and equal tokens before them. Undefined where the trace has none: then nothing is shared.
   */
  readonly prefixIds: readonly number[] | undefined;
}

/** Requests in the order of their arrival. */
export interface Trace {
  readonly format: "mooncake" | "azure";
  readonly requests: readonly TraceRequest[];
  /** Tokens that one prefix id stands for. */
  readonly tokensPerId: number;
}

/** Whether a value is a length that a prompt or an answer of a trace can have. */
export function isTraceTokens(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= MOST_TRACE_TOKENS;
}
