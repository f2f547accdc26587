import type { KvFormat } from "../format.ts";
import type { LayerKind } from "../layer-shape.ts";
import type { ModelShape } from "../model-shape.ts";
import type { Sharding } from "../sharding.ts";

/** The rules by which a geometry becomes bytes. `exact` is this project's own allocator, the others are engines. */
export type RuleName = "exact" | "llama.cpp" | "vllm" | "sglang" | "tensorrt-llm" | "transformers";

/** What a rule is asked for: so many sequences of so many tokens. */
export interface RuleRequest {
  readonly tokens: number;
  readonly sequences: number;
  /** Encoder tokens of each sequence, where the model does not fix them. */
  readonly encoderTokens: number;
  readonly format: KvFormat;
  /** Tokens per block; null for the rule's own default. */
  readonly tokensPerBlock: number | null;
  readonly sharding: Required<Sharding>;
  /** The engine's own knobs, under its own names; each rule documents those it reads. */
  readonly knobs: Readonly<Record<string, unknown>>;
}

/** Layers that a rule treats alike. */
export interface RuleLayers {
  readonly kind: LayerKind;
  readonly count: number;
  /** Bytes of all of them, for all sequences, over all devices. */
  readonly bytes: number;
}

/** A figure as the engine prints it, to be put beside its log. */
export interface RuleFigure {
  readonly name: string;
  readonly value: string;
}

/** What an engine allocates by, on its fullest device. */
export interface RuleBlocks {
  readonly tokensPerBlock: number;
  readonly bytesPerBlock: number;
  /** What the sequences asked for take beside blocks: recurrent state, windows, the encoder's keys and values. */
  readonly fixedBytes: number;
}

/** What belongs to a size and is not needed to compare it with a budget. */
export interface RuleDetails {
  readonly layers: readonly RuleLayers[];
  readonly figures: readonly RuleFigure[];
  readonly assumptions: readonly string[];
  /** Null where the engine has no blocks, or nothing grows. */
  readonly blocks: RuleBlocks | null;
}

/** A size under a rule. */
export interface RuleSize {
  /** All sequences, over all devices. */
  readonly totalBytes: number;
  /** One sequence, over all devices; 0 if none was asked for. A fraction where sequences share what does not divide. */
  readonly bytesPerSequence: number;
  /** What one more token of one sequence adds in the long run, over all devices. */
  readonly bytesPerToken: number;
  /** The most that any one device takes. */
  readonly largestDeviceBytes: number;
  readonly numDevices: number;
  /** What a report shows beside the numbers; made on demand, because a plan sizes many times and shows once. */
  readonly details: () => RuleDetails;
}

/** A rule: whose behaviour, which version of it, where that is documented, and the computation. */
export interface Rule {
  readonly name: RuleName;
  /** The version whose behaviour is stated. */
  readonly version: string;
  /** Public source of the behaviour. */
  readonly documentation: readonly string[];
  readonly size: (shape: ModelShape, request: RuleRequest) => RuleSize;
}
