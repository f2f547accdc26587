import {
  KV_TYPES,
  type KvFormat,
  type KvFormatInput,
  type KvType,
  RULES,
  type RuleName,
  type SizeOptions,
} from "@kv/config";
import { type Command, InvalidArgumentError, Option } from "commander";
import { parseCount, parseCountOrNone } from "../option-values.ts";

/** What the options that size and plan share hold once parsed. */
export interface SizeFlags {
  readonly context?: number;
  readonly sequences: number;
  readonly encoderTokens: number;
  readonly dtype: KvType;
  readonly kDtype?: KvType;
  readonly vDtype?: KvType;
  readonly indexerDtype?: KvFormat["indexer"];
  readonly stateDtype?: KvFormat["state"];
  readonly convDtype?: KvFormat["conv"];
  readonly rule: RuleName;
  readonly block?: number;
  readonly tp: number;
  readonly pp: number;
  readonly dp: number;
  readonly cp: number;
  readonly knob?: Readonly<Record<string, unknown>>;
  readonly mtp?: true;
}

/** Adds the options that decide about the size of a cache. */
export function addSizeOptions(command: Command): Command {
  return command
    .option("--tokens, --context <tokens>", "tokens of each sequence (default: what the model says)", parseCountOrNone)
    .option("--sequences <count>", "sequences at once", parseCountOrNone, 1)
    .option(
      "--encoder-tokens <tokens>",
      "encoder tokens of each, where the model does not fix them",
      parseCountOrNone,
      0,
    )
    .addOption(new Option("--dtype <type>", "type of keys and values").choices(KV_TYPES).default("fp16"))
    .option("--k-dtype <type>", "type of the keys, instead", parseKvType)
    .option("--v-dtype <type>", "type of the values, instead", parseKvType)
    .option("--indexer-dtype <type>", "type of a sparse-attention indexer's keys")
    .option("--state-dtype <type>", "type of recurrent state (default: fp32)")
    .option("--conv-dtype <type>", "type of a recurrent layer's convolution (default: fp16)")
    .addOption(new Option("--rule <name>", "whose arithmetic").choices(Object.keys(RULES)).default("exact"))
    .option("--block <tokens>", "tokens per block (default: the rule's own)", parseCount)
    .option("--tp <ranks>", "tensor-parallel ranks", parseCount, 1)
    .option("--pp <stages>", "pipeline stages", parseCount, 1)
    .option("--dp <replicas>", "data-parallel replicas", parseCount, 1)
    .option("--cp <ranks>", "context-parallel ranks", parseCount, 1)
    .option("--knob <name=value>", "a knob of the rule's engine, as in swa-full=true; may be repeated", addKnob)
    .option("--mtp", "count the layers that predict further tokens too");
}

/** The options as @kv/config takes them. */
export function sizeOptionsOf(model: string, flags: SizeFlags): SizeOptions {
  const { context, sequences, encoderTokens, rule, block, tp, pp, dp, cp, knob } = flags;
  return {
    model,
    rule,
    sequences,
    encoderTokens,
    format: formatOf(flags),
    sharding: { tensor: tp, pipeline: pp, data: dp, context: cp },
    ...(knob === undefined ? {} : { knobs: knob }),
    ...(context === undefined ? {} : { tokens: context }),
    ...(block === undefined ? {} : { tokensPerBlock: block }),
  };
}

function formatOf({ dtype, kDtype, vDtype, indexerDtype, stateDtype, convDtype }: SizeFlags): KvFormatInput {
  return {
    keys: kDtype ?? dtype,
    values: vDtype ?? dtype,
    ...(indexerDtype === undefined ? {} : { indexer: indexerDtype }),
    ...(stateDtype === undefined ? {} : { state: stateDtype }),
    ...(convDtype === undefined ? {} : { conv: convDtype }),
  };
}

function parseKvType(text: string): KvType {
  const type = KV_TYPES.find((each) => each === text);
  if (type !== undefined) return type;
  throw new InvalidArgumentError(`Allowed choices are ${KV_TYPES.join(", ")}.`);
}

/** `swa-full`, `swa-full=true`, `ctxSize=8192`, `cache=static`: engines write their flags with dashes. */
function addKnob(text: string, knobs: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  const [, flag, value = "true"] = /^(?:--)?([A-Za-z][\w-]*)(?:=(.+))?$/.exec(text) ?? [];
  if (flag === undefined) throw new InvalidArgumentError("It must be a name and a value, as in swa-full=true.");
  return { ...knobs, [flag.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())]: knobValue(value) };
}

function knobValue(text: string): boolean | number | string | number[] {
  if (text === "true" || text === "false") return text === "true";
  const items = text.split(",");
  if (!items.every((item) => /^\d+(\.\d+)?$/.test(item))) return text;
  return items.length === 1 ? Number(text) : items.map(Number);
}
