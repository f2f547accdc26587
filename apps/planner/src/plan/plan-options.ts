import { InvalidConfigError, type KvType, type PlanOptions, parseBytes, type RuleName } from "@kv/config";
import { CARDS, findCard } from "@kv/config/presets";
import { OTHER_CARD, type PlannerState } from "../state/planner-state.ts";
import { ENGINE_KNOBS, type EngineKnob, knobKey } from "./engine-knobs.ts";
import { type FieldError, fieldError } from "./field-error.ts";
import { givenBytes, givenFlag, givenNumber, givenNumbers } from "./given-value.ts";

/** What the library is asked, or what stands in the way. */
export type Asked =
  | { readonly options: PlanOptions; readonly errors?: undefined }
  | { readonly options?: undefined; readonly errors: readonly FieldError[] };

/** The library's options from the page's state. Texts that cannot be read as bytes are all named at once. */
export function planOptions(state: PlannerState): Asked {
  const errors: FieldError[] = [];
  const read = <Value>(input: FieldError["field"], value: () => Value): Value | undefined => {
    try {
      return value();
    } catch (error) {
      errors.push(fieldError(error, state.rule, input));
      return undefined;
    }
  };
  const budgetBytes = read(state.card === OTHER_CARD ? "memory" : "card", () => cardBytes(state));
  const weightsBytes = read("weights", () => givenBytes(state.weights));
  const reserveBytes = read("reserve", () => givenBytes(state.reserve));
  const knobs = givenKnobs(state, read);
  if (errors.length > 0 || budgetBytes === undefined) return { errors };
  const optional = { weightsBytes, reserveBytes, ...counts(state) };
  const options = {
    budgetBytes,
    rule: state.rule as RuleName,
    format: formatOf(state),
    sharding: shardingOf(state),
    knobs,
  };
  return { options: { ...options, ...withoutUndefined(optional) } };
}

function cardBytes({ card, memory }: PlannerState): number {
  if (card === OTHER_CARD) return parseBytes(memory);
  const known = findCard(card);
  if (known !== undefined) return known.bytes;
  throw new InvalidConfigError("card", card, `one of ${CARDS.map(({ id }) => id).join(", ")} or ${OTHER_CARD}`);
}

function counts(
  state: PlannerState,
): Partial<Pick<PlanOptions, "tokens" | "sequences" | "encoderTokens" | "tokensPerBlock">> {
  return withoutUndefined({
    tokens: givenNumber(state.context),
    sequences: givenNumber(state.sequences),
    encoderTokens: givenNumber(state.encoder),
    tokensPerBlock: givenNumber(state.block),
  });
}

function formatOf({ keys, values }: PlannerState): PlanOptions["format"] & object {
  return { keys: keys as KvType, ...(values === "" ? {} : { values: values as KvType }) };
}

function shardingOf(state: PlannerState): NonNullable<PlanOptions["sharding"]> {
  return withoutUndefined({
    tensor: givenNumber(state.tp),
    pipeline: givenNumber(state.pp),
    data: givenNumber(state.dp),
    context: givenNumber(state.cp),
  });
}

type Read = <Value>(input: FieldError["field"], value: () => Value) => Value | undefined;

function givenKnobs(state: PlannerState, read: Read): Readonly<Record<string, unknown>> {
  const engineKnobs = Object.hasOwn(ENGINE_KNOBS, state.rule) ? ENGINE_KNOBS[state.rule as RuleName] : [];
  const given = engineKnobs.map((knob) => {
    const key = knobKey(state.rule, knob.name);
    return [knob.name, read(key as `${string}.${string}`, () => knobValue(knob, state.knobs[key] ?? ""))] as const;
  });
  return withoutUndefined(Object.fromEntries(given));
}

function knobValue({ kind, name }: EngineKnob, text: string): unknown {
  if (kind === "bytes") return givenBytes(text);
  if (kind === "flag") return givenFlag(text);
  // The one choice whose values are numbers.
  if (kind === "count" || kind === "share" || name === "majorVersion") return givenNumber(text);
  if (kind === "counts" || kind === "shares") return givenNumbers(text);
  return text === "" ? undefined : text;
}

type WithoutUndefined<Values> = { [Key in keyof Values]?: Exclude<Values[Key], undefined> };

function withoutUndefined<Values extends object>(values: Values): WithoutUndefined<Values> {
  return Object.fromEntries(
    Object.entries(values).filter(([, value]) => value !== undefined),
  ) as WithoutUndefined<Values>;
}
