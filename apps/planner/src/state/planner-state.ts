/**
 * Everything the page is told, as it was typed: a wrong value stays as it is until it is put right, and the link to a page
 * carries it too. Empty means "not given".
 */
export interface PlannerState {
  /** A preset's name, or `own` for what stands in `source`. */
  readonly model: string;
  /** Text of a `config.json`, or of GGUF metadata as JSON. */
  readonly source: string;
  /** The file that `source` came from. */
  readonly file: string;
  /** Adds the layers that predict further tokens: `true` or empty. */
  readonly mtp: string;
  /** A known card's name, or `other` for a card of `memory`. */
  readonly card: string;
  /** Bytes of one card, such as `80GiB`. */
  readonly memory: string;
  /** Bytes of all weights together. */
  readonly weights: string;
  /** Bytes of one card that must stay free. */
  readonly reserve: string;
  readonly tp: string;
  readonly pp: string;
  readonly dp: string;
  readonly cp: string;
  /** The type of keys. */
  readonly keys: string;
  /** The type of values; as keys if empty. */
  readonly values: string;
  /** Tokens of each sequence. */
  readonly context: string;
  readonly sequences: string;
  /** Encoder tokens of each sequence. */
  readonly encoder: string;
  /** The engine's rule. */
  readonly rule: string;
  /** Tokens per block. */
  readonly block: string;
  /** The engines' own knobs by `rule.knob`; those of other rules wait until that rule is chosen again. */
  readonly knobs: Readonly<Record<string, string>>;
}

/** A part of the state that is one text. */
export type FieldName = Exclude<keyof PlannerState, "knobs">;

/** The value of `model` that stands for the text in `source`. */
export const OWN_MODEL = "own";

/** The value of `card` that stands for the bytes in `memory`. */
export const OTHER_CARD = "other";

/** What the page opens with: a model that just fits its card. */
export const DEFAULT_STATE: PlannerState = {
  model: "llama-3-8b",
  source: "",
  file: "",
  mtp: "",
  card: "rtx-4090",
  memory: "80GiB",
  weights: "16.06GB",
  reserve: "",
  tp: "",
  pp: "",
  dp: "",
  cp: "",
  keys: "fp16",
  values: "",
  context: "8192",
  sequences: "8",
  encoder: "",
  rule: "exact",
  block: "",
  knobs: {},
};

/** Every field, in the order in which a link lists them. */
export const FIELD_NAMES: readonly FieldName[] = Object.keys(DEFAULT_STATE).filter(
  (key): key is FieldName => key !== "knobs",
);

/** True if `name` is a field of the state; the other inputs are knobs. */
export function isFieldName(name: string): name is FieldName {
  return name !== "knobs" && Object.hasOwn(DEFAULT_STATE, name);
}
