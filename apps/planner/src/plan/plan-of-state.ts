import { type ModelShape, type PlanOptions, type PlanReport, planReport } from "@kv/config";
import { modelOfState, type NamedModel } from "../model/model-of-state.ts";
import { DEFAULT_STATE, isFieldName, OWN_MODEL, type PlannerState } from "../state/planner-state.ts";
import { type FieldError, fieldError } from "./field-error.ts";
import { planOptions } from "./plan-options.ts";

/** A plan and what it was made from. */
export interface Plan {
  readonly shape: ModelShape;
  readonly options: PlanOptions;
  readonly report: PlanReport;
}

/** What the page shows for a state: a plan, or errors, each beside an input. */
export type Outcome =
  | { readonly plan: Plan; readonly errors: readonly [] }
  | { readonly plan: null; readonly errors: readonly FieldError[] };

/** Plans what the state asks for. Never throws: whatever is wrong becomes an error beside an input. */
export function planOfState(state: PlannerState): Outcome {
  const outcome = planOrErrors(state);
  if (outcome.plan !== null) return outcome;
  return { plan: null, errors: [...outcome.errors, ...furtherErrors(state, outcome.errors)] };
}

/** The library names one wrong value at a time: the others come to light once that one is left out. */
function furtherErrors(state: PlannerState, errors: readonly FieldError[]): readonly FieldError[] {
  const fields = errors.map(({ field }) => field);
  const rest = without(state, fields);
  const isLast = fields.some(
    (field) => DECISIVE.includes(field) || valueOfField(state, field) === valueOfField(rest, field),
  );
  return isLast ? [] : planOfState(rest).errors;
}

/** What else is wrong depends on these: without them nothing can be said about the others. */
const DECISIVE: readonly FieldError["field"][] = ["model", "source", "rule", "card", "memory"];

function valueOfField(state: PlannerState, field: FieldError["field"]): string {
  return isFieldName(field) ? state[field] : (state.knobs[field] ?? "");
}

function without(state: PlannerState, inputs: readonly FieldError["field"][]): PlannerState {
  const fields = inputs.filter(isFieldName).map((field) => [field, field === "keys" ? DEFAULT_STATE.keys : ""]);
  const knobs = inputs.filter((input) => !isFieldName(input)).map((knob) => [knob, ""]);
  return { ...state, ...Object.fromEntries(fields), knobs: { ...state.knobs, ...Object.fromEntries(knobs) } };
}

function planOrErrors(state: PlannerState): Outcome {
  const { model, error } = modelOrError(state);
  const { options, errors = [] } = planOptions(state);
  const found = error === undefined ? errors : [error, ...errors];
  if (model === undefined || options === undefined) return { plan: null, errors: found };
  try {
    const named = { ...options, model: model.name };
    return { plan: { shape: model.shape, options: named, report: planReport(model.shape, named) }, errors: [] };
  } catch (failure) {
    return { plan: null, errors: [fieldError(failure, state.rule, "rule")] };
  }
}

function modelOrError(state: PlannerState): { readonly model?: NamedModel; readonly error?: FieldError } {
  try {
    return { model: modelOfState(state) };
  } catch (error) {
    const field = state.model === OWN_MODEL ? "source" : "model";
    return { error: { ...fieldError(error, state.rule, field), field } };
  }
}
