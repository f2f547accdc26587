import type { Plan } from "./plan-of-state.ts";

/** The least that a chart shows of a model that does not say how many tokens it can take. */
const LEAST_TOKENS = 2 ** 15;

/** How finely a chart is drawn. */
const STEPS = 128;

/** The contexts that a chart shows. */
export interface ChartRange {
  /** The last context, a multiple of `step`. */
  readonly most: number;
  /** From one drawn context to the next; a power of two. */
  readonly step: number;
}

/**
 * Contexts up to what the model was made for; where the card ends near that or before, half as far again as the card goes.
 * The context asked for is always among them.
 */
export function chartRange({ shape, report }: Plan): ChartRange {
  const { tokens, maxContext } = report;
  const model = shape.maxContextTokens ?? Math.max(2 * tokens, LEAST_TOKENS);
  const isLimitNear = maxContext !== null && maxContext > 0 && maxContext <= 2 * model;
  const wanted = Math.max(tokens, isLimitNear ? 1.5 * maxContext : model);
  const step = 2 ** Math.max(0, Math.floor(Math.log2(wanted / STEPS)));
  return { step, most: Math.ceil(wanted / step) * step };
}

/** The contexts at which a chart is drawn: every step, the context asked for, and the last that fits. */
export function chartContexts({ most, step }: ChartRange, { report }: Plan): number[] {
  const steps = Array.from({ length: most / step + 1 }, (_, i) => i * step);
  const special = [report.tokens, report.maxContext ?? most].filter((tokens) => tokens <= most);
  return [...new Set([...steps, ...special])].sort((left, right) => left - right);
}

/** A few round contexts, for a table: powers of two, the context asked for, and the end of the chart. */
export function tableContexts({ most }: ChartRange, { report }: Plan): number[] {
  const first = Math.max(1, most / 2 ** 7);
  const powers = Array.from({ length: 53 }, (_, i) => 2 ** i).filter((tokens) => tokens >= first && tokens < most);
  return [...new Set([...powers, report.tokens, most])].sort((left, right) => left - right);
}
