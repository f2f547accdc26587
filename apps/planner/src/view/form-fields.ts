import { KV_TYPES, RULES } from "@kv/config";
import { CARDS, MODEL_PRESETS, presetName } from "@kv/config/presets";
import { ENGINE_KNOBS, type EngineKnob, knobKey } from "../plan/engine-knobs.ts";
import { OTHER_CARD, OWN_MODEL } from "../state/planner-state.ts";

/** A choice of a list; `group` puts choices of the same group together. */
export interface Choice {
  readonly value: string;
  readonly label: string;
  readonly group?: string;
}

/** One labelled input. `name` is a field of the state or a knob's key. */
export type FormField = {
  readonly name: string;
  readonly label: string;
  /** What the label leaves out for want of room; read out with it. */
  readonly more?: string;
} & (
  | { readonly kind: "text"; readonly placeholder?: string; readonly numeric?: boolean }
  | { readonly kind: "area" }
  | { readonly kind: "check"; readonly unset: boolean }
  | { readonly kind: "list"; readonly choices: readonly Choice[] }
);

/** Inputs that belong together. Fields in one inner list stand side by side. */
export interface FieldGroup {
  readonly legend: string;
  readonly rows: readonly (readonly FormField[])[];
}

const models: readonly Choice[] = [
  { value: OWN_MODEL, label: "Your own config.json or GGUF" },
  ...MODEL_PRESETS.map((preset) => ({
    value: presetName(preset),
    label: preset.id.slice(preset.id.indexOf("/") + 1),
    group: preset.id.slice(0, preset.id.indexOf("/")),
  })),
];

const cards: readonly Choice[] = [
  ...CARDS.map(({ id, name }) => ({ value: id, label: name })),
  { value: OTHER_CARD, label: "Another card" },
];

const types: readonly Choice[] = KV_TYPES.map((type) => ({ value: type, label: type }));
const rules: readonly Choice[] = Object.values(RULES).map(({ name }) => ({
  value: name,
  label: name === "exact" ? "exact (this project's allocator)" : name,
}));

const ranks = (name: string, label: string, kind: string): FormField => ({
  kind: "text",
  name,
  label,
  more: `${kind} ranks`,
  placeholder: "1",
  numeric: true,
});

/** Everything that is asked, but for the knobs of an engine. */
export const FIELD_GROUPS: readonly FieldGroup[] = [
  {
    legend: "Model",
    rows: [
      [{ kind: "list", name: "model", label: "Preset", choices: models }],
      [{ kind: "area", name: "source", label: "config.json, or GGUF metadata as JSON" }],
      [{ kind: "check", name: "mtp", label: "With layers that predict further tokens (MTP)", unset: false }],
    ],
  },
  {
    legend: "Cards",
    rows: [
      [{ kind: "list", name: "card", label: "Card", choices: cards }],
      [{ kind: "text", name: "memory", label: "Memory of one card", placeholder: "80GiB" }],
      [
        ranks("tp", "TP", "tensor-parallel"),
        ranks("pp", "PP", "pipeline-parallel"),
        ranks("dp", "DP", "data-parallel"),
        ranks("cp", "CP", "context-parallel"),
      ],
      [
        { kind: "text", name: "weights", label: "Weights, all together", placeholder: "0, or 16.06GB" },
        { kind: "text", name: "reserve", label: "Keep free on each card", placeholder: "0, or 1GiB" },
      ],
    ],
  },
  {
    legend: "Cache",
    rows: [
      [
        { kind: "text", name: "context", label: "Context", more: "tokens of each sequence", numeric: true },
        { kind: "text", name: "sequences", label: "Sequences", placeholder: "1", numeric: true },
      ],
      [{ kind: "text", name: "encoder", label: "Encoder tokens of each sequence", placeholder: "0", numeric: true }],
      [
        { kind: "list", name: "keys", label: "Type of keys", choices: types },
        {
          kind: "list",
          name: "values",
          label: "Type of values",
          choices: [{ value: "", label: "as keys" }, ...types],
        },
      ],
    ],
  },
  {
    legend: "Engine",
    rows: [
      [{ kind: "list", name: "rule", label: "Engine's rule", choices: rules }],
      [{ kind: "text", name: "block", label: "Tokens per block", placeholder: "the rule's own", numeric: true }],
    ],
  },
];

/** The inputs for a rule's knobs; none for a rule that is not known. */
export function knobFields(rule: string): readonly FormField[] {
  const knobs = Object.hasOwn(ENGINE_KNOBS, rule) ? ENGINE_KNOBS[rule as keyof typeof ENGINE_KNOBS] : [];
  return knobs.map((knob) => knobField(knobKey(rule, knob.name), knob));
}

function knobField(name: string, knob: EngineKnob): FormField {
  const label = knob.flag;
  switch (knob.kind) {
    case "flag":
      return { kind: "check", name, label, unset: knob.unset };
    case "choice":
      return { kind: "list", name, label, choices: choicesOf(knob.choices, knob.unset) };
    default:
      return { kind: "text", name, label, placeholder: knob.unset, numeric: knob.kind === "count" };
  }
}

/** The value that an engine takes by itself is the empty one, so that it does not stand in links. */
function choicesOf(choices: readonly string[], unset: string): Choice[] {
  return choices.map((choice) => ({ value: choice === unset ? "" : choice, label: choice }));
}

/** The label of an input as the form shows it. */
export function labelOfField(name: string, rule: string): string {
  const fields = [...FIELD_GROUPS.flatMap(({ rows }) => rows.flat()), ...knobFields(rule)];
  return fields.find((field) => field.name === name)?.label ?? name;
}
