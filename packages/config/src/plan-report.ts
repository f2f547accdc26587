import { SizeOverflowError } from "./errors.ts";
import { checkCount } from "./kv-cache-config.ts";
import { type Growing, largestFitting } from "./largest-fitting.ts";
import type { ModelShape } from "./model-shape.ts";
import { type PlanLimits, type PlanSuggestion, suggestionsFor } from "./plan-suggestions.ts";
import type { RuleRequest, RuleSize } from "./rules/rule.ts";
import {
  type ResolvedSizeOptions,
  reportOf,
  resolveSizeOptions,
  type SizeOptions,
  type SizeReport,
} from "./size-report.ts";

/** What to plan for. */
export interface PlanOptions extends SizeOptions {
  /** Bytes of one device. */
  readonly budgetBytes: number;
  /** Bytes of the model's weights, all devices together; they are split over tensor and pipeline ranks. 0 unless given. */
  readonly weightsBytes?: number;
  /** Bytes of one device that must stay free: activations, graphs, other programs. 0 unless given. */
  readonly reserveBytes?: number;
}

/** Whether a cache fits beside its weights, and how far the budget goes: what `kv plan --json` prints. */
export interface PlanReport extends SizeReport, PlanLimits {
  /** Bytes of one device. */
  readonly budgetBytes: number;
  /** Weights on one device. */
  readonly weightsBytes: number;
  readonly reserveBytes: number;
  /** What is left for the cache on one device. */
  readonly kvBudgetBytes: number;
  /** What stays free on the fullest device; negative by what is missing. */
  readonly leftBytes: number;
  readonly fits: boolean;
  /**
   * The tokens of a block, its bytes on the fullest device, and the most that fit there beside what the sequences asked for
   * take without blocks. Null for engines without blocks, and for a cache that does not grow.
   */
  readonly blocks: {
    readonly tokensPerBlock: number;
    readonly bytesPerBlock: number;
    readonly maxBlocks: number;
  } | null;
  /** Changes that help, best first; empty when it fits. */
  readonly suggestions: readonly PlanSuggestion[];
}

/**
 * Plans a model's cache for devices of a budget. Each limit is consistent with the forward direction: the limit fits, one
 * more does not.
 *
 * @throws InvalidConfigError, UnsupportedModelError, SizeOverflowError
 */
export function planReport(shape: ModelShape, options: PlanOptions): PlanReport {
  const resolved = resolveSizeOptions(shape, options);
  const budget = budgetOf(resolved.request, options);
  const size = resolved.rule.size(shape, resolved.request);
  const fits = size.largestDeviceBytes <= budget.kvBudgetBytes;
  const limits = limitsOf(shape, resolved, size, budget.kvBudgetBytes);
  return {
    ...reportOf(resolved, size),
    ...budget,
    leftBytes: budget.kvBudgetBytes - size.largestDeviceBytes,
    fits,
    ...limits,
    blocks: blocksOf(size, budget.kvBudgetBytes),
    suggestions: fits
      ? []
      : suggestionsFor({
          shape,
          resolved,
          size,
          options,
          limits,
          kvBudgetOf: (request) => budgetOf(request, options).kvBudgetBytes,
        }),
  };
}

type Budget = Pick<PlanReport, "budgetBytes" | "weightsBytes" | "reserveBytes" | "kvBudgetBytes">;

function budgetOf({ sharding }: RuleRequest, { budgetBytes, weightsBytes = 0, reserveBytes = 0 }: PlanOptions): Budget {
  checkCount("budgetBytes", budgetBytes, 0);
  checkCount("weightsBytes", weightsBytes, 0);
  checkCount("reserveBytes", reserveBytes, 0);
  const own = Math.ceil(weightsBytes / (sharding.tensor * sharding.pipeline));
  return { budgetBytes, weightsBytes: own, reserveBytes, kvBudgetBytes: Math.max(0, budgetBytes - own - reserveBytes) };
}

function limitsOf(
  shape: ModelShape,
  { rule, request }: ResolvedSizeOptions,
  size: RuleSize,
  budget: number,
): PlanLimits {
  const deviceBytes = (change: Partial<RuleRequest>): number =>
    bytesOrInfinity(() => rule.size(shape, { ...request, ...change }));
  const share = size.totalBytes === 0 ? 0 : size.largestDeviceBytes / size.totalBytes;
  const sequences = Math.max(1, request.sequences);
  const perToken = size.bytesPerToken * share;
  const maxContext = limit({
    bytesAt: (tokens) => deviceBytes({ tokens, sequences }),
    bytesPerCount: perToken * sequences,
    budget,
  });
  return {
    maxContext,
    maxTokens:
      sequences === 1
        ? maxContext
        : limit({ bytesAt: (tokens) => deviceBytes({ tokens, sequences: 1 }), bytesPerCount: perToken, budget }),
    maxSequences: limit({
      bytesAt: (count) => (count === 0 ? 0 : deviceBytes({ sequences: count })),
      bytesPerCount: size.bytesPerSequence * share,
      budget,
    }),
  };
}

/** A limit for people: if nothing fits at all, it is 0. */
function limit(growing: Growing): number | null {
  const largest = largestFitting(growing);
  return largest === null ? null : Math.max(0, largest);
}

/** A size beyond all numbers fits no budget. */
function bytesOrInfinity(size: () => RuleSize): number {
  try {
    return size().largestDeviceBytes;
  } catch (error) {
    if (error instanceof SizeOverflowError) return Number.POSITIVE_INFINITY;
    throw error;
  }
}

function blocksOf(size: RuleSize, budget: number): PlanReport["blocks"] {
  const { blocks } = size.details();
  if (blocks === null) return null;
  const { tokensPerBlock, bytesPerBlock, fixedBytes } = blocks;
  return { tokensPerBlock, bytesPerBlock, maxBlocks: Math.max(0, Math.floor((budget - fixedBytes) / bytesPerBlock)) };
}
