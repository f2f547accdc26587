import { formatBytes } from "./bytes.ts";
import { InvalidConfigError, SizeOverflowError } from "./errors.ts";
import { type KvType, resolveFormat } from "./format.ts";
import type { ModelShape } from "./model-shape.ts";
import type { RuleName, RuleRequest, RuleSize } from "./rules/rule.ts";
import { dtypeOf, type ResolvedSizeOptions, type SizeOptions } from "./size-report.ts";

/** One change that makes a cache smaller on its fullest device. */
export interface PlanSuggestion {
  readonly change: "windows" | "format" | "tensor" | "sequences" | "context";
  readonly from: string;
  readonly to: string;
  /** Bytes that the fullest device then takes for the cache. */
  readonly largestDeviceBytes: number;
  readonly savesBytes: number;
  /** Whether this change alone is enough. More tensor ranks also take a part of the weights away. */
  readonly fits: boolean;
  /** The change as a sentence. */
  readonly text: string;
}

/** How far a budget goes. */
export interface PlanLimits {
  /** The longest that a single sequence can be. Null: no limit, because nothing grows. */
  readonly maxTokens: number | null;
  /** The longest that each of the sequences asked for can be. Null as above. */
  readonly maxContext: number | null;
  /** The most sequences of the length asked for. Null: no limit. */
  readonly maxSequences: number | null;
}

/** What suggestions are made from. */
export interface SuggestionInput {
  readonly shape: ModelShape;
  readonly resolved: ResolvedSizeOptions;
  readonly size: RuleSize;
  readonly options: SizeOptions;
  readonly limits: PlanLimits;
  readonly kvBudgetOf: (request: RuleRequest) => number;
}

/** Types that an engine offers, the best supported first among those that save as much. */
const SMALLER_TYPES: Readonly<Record<RuleName, readonly KvType[]>> = {
  exact: ["fp8_e4m3", "int8", "q4_0"],
  "llama.cpp": ["q8_0", "q4_0"],
  vllm: ["fp8_e4m3", "nvfp4"],
  sglang: ["fp8_e4m3"],
  "tensorrt-llm": ["fp8_e4m3", "int8"],
  transformers: [],
};

/** The knob that makes an engine keep windows in full, and its better value. */
const WINDOW_KNOB: Readonly<Partial<Record<RuleName, string>>> = {
  "llama.cpp": "swaFull",
  vllm: "disableHybridKvCacheManager",
  sglang: "disableHybridSwaMemory",
};

/** What gives up least comes first. */
const ORDER: readonly PlanSuggestion["change"][] = ["windows", "format", "tensor", "sequences", "context"];

/**
 * Changes that help, in this order:
 *
 * 1. those that are enough alone, then those that are not;
 * 2. of those that are enough, what gives up least first: windows that were kept in full (nothing is given up), another type
 *    (precision), more ranks (cards), fewer sequences, shorter sequences; of several of one change, the one that saves
 *    least, because it keeps most;
 * 3. of the others, what saves most first.
 */
export function suggestionsFor(input: SuggestionInput): PlanSuggestion[] {
  const all = [
    ...windowChanges(input),
    ...formatChanges(input),
    ...tensorChanges(input),
    ...sequenceChanges(input),
    ...contextChanges(input),
  ];
  const helping = all.filter(({ savesBytes, fits }) => savesBytes > 0 || fits);
  return helping.toSorted((left, right) => {
    if (left.fits !== right.fits) return left.fits ? -1 : 1;
    const byChange = ORDER.indexOf(left.change) - ORDER.indexOf(right.change);
    if (!left.fits) return right.savesBytes - left.savesBytes || byChange;
    return byChange || left.savesBytes - right.savesBytes;
  });
}

interface Change {
  readonly change: PlanSuggestion["change"];
  readonly from: string;
  readonly to: string;
  readonly request: RuleRequest;
}

/** The suggestion that a change makes, or none if the engine cannot do it. */
function tried(input: SuggestionInput, { change, from, to, request }: Change): PlanSuggestion[] {
  const { shape, resolved, size, kvBudgetOf } = input;
  try {
    const { largestDeviceBytes } = resolved.rule.size(shape, request);
    const fits = largestDeviceBytes <= kvBudgetOf(request);
    const savesBytes = size.largestDeviceBytes - largestDeviceBytes;
    const text = `${change}: ${from} → ${to} saves ${formatBytes(Math.max(0, savesBytes))} per device${fits ? ", and fits" : ""}`;
    return [{ change, from, to, largestDeviceBytes, savesBytes, fits, text }];
  } catch (error) {
    if (error instanceof InvalidConfigError || error instanceof SizeOverflowError) return [];
    throw error;
  }
}

function windowChanges(input: SuggestionInput): PlanSuggestion[] {
  const { rule, request } = input.resolved;
  if (rule.name === "tensorrt-llm") return attentionWindows(input);
  const knob = WINDOW_KNOB[rule.name];
  if (knob === undefined || request.knobs[knob] !== true) return [];
  const changed = { ...request, knobs: { ...request.knobs, [knob]: false } };
  return tried(input, { change: "windows", from: `${knob}=true`, to: `${knob}=false`, request: changed });
}

/** TensorRT-LLM keeps windows in full until it is told how long they are, for as many layers as the pattern has. */
function attentionWindows(input: SuggestionInput): PlanSuggestion[] {
  const { request } = input.resolved;
  const windows = windowsByLayer(input.shape, Math.max(1, request.tokens));
  if (request.knobs["maxAttentionWindow"] !== undefined || new Set(windows).size < 2) return [];
  const isPeriod = (length: number): boolean => windows.every((window, i) => window === windows[i % length]);
  const period = windows.findIndex((_window, i) => i > 0 && isPeriod(i));
  const pattern = windows.slice(0, period < 0 ? windows.length : period);
  const changed = { ...request, knobs: { ...request.knobs, maxAttentionWindow: pattern } };
  const to = `maxAttentionWindow=${pattern.join(",")}`;
  return tried(input, { change: "windows", from: "no maxAttentionWindow", to, request: changed });
}

function windowsByLayer({ layers }: ModelShape, tokens: number): number[] {
  const windows: number[] = [];
  for (const layer of layers) {
    const own = layer.kind === "chunked" ? layer.chunkTokens : layer.kind === "sliding" ? layer.windowTokens : tokens;
    windows[layer.index] = Math.min(own, tokens);
  }
  return Array.from(windows, (window) => window ?? tokens);
}

function formatChanges(input: SuggestionInput): PlanSuggestion[] {
  const { rule, request } = input.resolved;
  const from = dtypeOf(request.format);
  const types = SMALLER_TYPES[rule.name].filter(
    (type) => type !== request.format.keys || type !== request.format.values,
  );
  return types.flatMap((type) => {
    const format = resolveFormat({ conv: request.format.conv, state: request.format.state, keys: type });
    return tried(input, { change: "format", from, to: type, request: { ...request, format } });
  });
}

/** The fewest more ranks that are enough, or the most that were tried. */
function tensorChanges(input: SuggestionInput): PlanSuggestion[] {
  const { rule, request } = input.resolved;
  if (rule.name === "llama.cpp") return [];
  const from = request.sharding.tensor;
  const found = [2, 4, 8].flatMap((times) => {
    const sharding = { ...request.sharding, tensor: from * times };
    return tried(input, {
      change: "tensor",
      from: `${from}`,
      to: `${from * times}`,
      request: { ...request, sharding },
    });
  });
  const enough = found.find(({ fits }) => fits) ?? found.at(-1);
  return enough === undefined ? [] : [enough];
}

function sequenceChanges(input: SuggestionInput): PlanSuggestion[] {
  const { request } = input.resolved;
  const { maxSequences } = input.limits;
  if (maxSequences === null || maxSequences === 0 || maxSequences >= request.sequences) return [];
  const changed = { ...request, sequences: maxSequences };
  return tried(input, { change: "sequences", from: `${request.sequences}`, to: `${maxSequences}`, request: changed });
}

function contextChanges(input: SuggestionInput): PlanSuggestion[] {
  const { request } = input.resolved;
  const { maxContext } = input.limits;
  if (maxContext === null || maxContext === 0 || maxContext >= request.tokens) return [];
  return tried(input, {
    change: "context",
    from: `${request.tokens}`,
    to: `${maxContext}`,
    request: { ...request, tokens: maxContext },
  });
}
