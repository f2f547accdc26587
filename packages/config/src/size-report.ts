import { checkShape } from "./check-shape.ts";
import { InvalidConfigError } from "./errors.ts";
import { type KvFormat, type KvFormatInput, resolveFormat } from "./format.ts";
import { checkCount, isRecord } from "./kv-cache-config.ts";
import type { ModelShape } from "./model-shape.ts";
import type { Rule, RuleFigure, RuleLayers, RuleName, RuleRequest, RuleSize } from "./rules/rule.ts";
import { ruleNamed } from "./rules/rules.ts";
import { resolveSharding, type Sharding } from "./sharding.ts";

/** Tokens that are assumed when neither the caller nor the model says how many. */
const DEFAULT_TOKENS = 4096;

/** What to size, and by which rule. */
export interface SizeOptions {
  /** The model's name in the report; its type unless given. */
  readonly model?: string;
  /** `exact` unless given. */
  readonly rule?: RuleName;
  /** Tokens of each sequence; the model's own context unless given. */
  readonly tokens?: number;
  /** 1 unless given. */
  readonly sequences?: number;
  /** Encoder tokens of each sequence, where the model does not fix them. 0 unless given. */
  readonly encoderTokens?: number;
  /** `"fp16"` unless given. */
  readonly format?: KvFormatInput;
  /** Tokens per block; the rule's own default unless given. */
  readonly tokensPerBlock?: number;
  readonly sharding?: Sharding;
  /** The engine's own knobs under its own names, as its rule documents. */
  readonly knobs?: Readonly<Record<string, unknown>>;
}

/** A size as data: what `kv size --json` prints. Bytes and counts are numbers, so that it survives JSON. */
export interface SizeReport {
  readonly schemaVersion: 1;
  readonly model: string;
  readonly rule: RuleName;
  /** The version of the engine whose behaviour this is. */
  readonly ruleVersion: string;
  /** The type of keys and values; `keys/values` where they differ. */
  readonly dtype: string;
  /** Tokens of each sequence. */
  readonly tokens: number;
  readonly sequences: number;
  /** What one more token of one sequence adds in the long run. */
  readonly bytesPerToken: number;
  readonly bytesPerSequence: number;
  /** All sequences over all devices. */
  readonly totalBytes: number;
  readonly largestDeviceBytes: number;
  readonly numDevices: number;
  readonly layers: readonly RuleLayers[];
  /** Figures as the engine's log prints them. */
  readonly figures: readonly RuleFigure[];
  readonly assumptions: readonly string[];
}

/** Options with nothing left to default. */
export interface ResolvedSizeOptions {
  readonly model: string;
  readonly rule: Rule;
  readonly request: RuleRequest;
  readonly assumptions: readonly string[];
}

/**
 * The size of a model's cache under a rule.
 *
 * @throws InvalidConfigError, UnsupportedModelError, SizeOverflowError
 */
export function sizeReport(shape: ModelShape, options: SizeOptions = {}): SizeReport {
  const resolved = resolveSizeOptions(shape, options);
  return reportOf(resolved, resolved.rule.size(shape, resolved.request));
}

/** Checks options and fills them in. @throws InvalidConfigError */
export function resolveSizeOptions(shape: ModelShape, options: SizeOptions): ResolvedSizeOptions {
  checkShape(shape);
  if (!isRecord(options as unknown)) throw new InvalidConfigError("options", options, "an object");
  const { rule = "exact", tokens, sequences = 1, encoderTokens = 0, tokensPerBlock, knobs = {} } = options;
  if (!isRecord(knobs)) throw new InvalidConfigError("knobs", knobs, "an object with the engine's knobs");
  const length = tokens ?? shape.maxContextTokens ?? DEFAULT_TOKENS;
  checkCount("tokens", length, 0);
  checkCount("sequences", sequences, 0);
  checkCount("encoderTokens", encoderTokens, 0);
  if (tokensPerBlock !== undefined) checkCount("tokensPerBlock", tokensPerBlock);
  const request: RuleRequest = {
    tokens: length,
    sequences,
    encoderTokens,
    format: resolveFormat(options.format),
    tokensPerBlock: tokensPerBlock ?? null,
    sharding: resolveSharding(options.sharding),
    knobs,
  };
  return {
    model: options.model ?? shape.modelType,
    rule: ruleNamed(rule),
    request,
    assumptions: assumptionsOf(shape, tokens),
  };
}

function assumptionsOf(shape: ModelShape, tokens: number | undefined): readonly string[] {
  if (tokens !== undefined || shape.maxContextTokens !== null) return shape.assumptions;
  return [...shape.assumptions, `${DEFAULT_TOKENS} tokens: neither the model nor the caller says how many`];
}

/** The report of a size that a rule has computed. */
export function reportOf({ model, rule, request, assumptions }: ResolvedSizeOptions, size: RuleSize): SizeReport {
  const details = size.details();
  return {
    schemaVersion: 1,
    model,
    rule: rule.name,
    ruleVersion: rule.version,
    dtype: dtypeOf(request.format),
    tokens: request.tokens,
    sequences: request.sequences,
    bytesPerToken: size.bytesPerToken,
    bytesPerSequence: size.bytesPerSequence,
    totalBytes: size.totalBytes,
    largestDeviceBytes: size.largestDeviceBytes,
    numDevices: size.numDevices,
    layers: details.layers,
    figures: details.figures,
    assumptions: [...assumptions, ...details.assumptions],
  };
}

/** The type of keys and values, both where they differ. */
export function dtypeOf({ keys, values }: KvFormat): string {
  return keys === values ? keys : `${keys}/${values}`;
}
