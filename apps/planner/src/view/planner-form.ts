import { RULES, type RuleName } from "@kv/config";
import type { FieldError } from "../plan/field-error.ts";
import { isFieldName, OTHER_CARD, OWN_MODEL, type PlannerState } from "../state/planner-state.ts";
import { element } from "./element.ts";
import { FIELD_GROUPS, knobFields } from "./form-fields.ts";
import { type FormInput, formInput } from "./form-input.ts";

/** What the form is told besides the state. */
export interface FormContext {
  /** Whether the model has layers that look at an encoder whose length it does not fix. */
  readonly needsEncoder: boolean;
  /** The context that an empty field stands for. */
  readonly ownContext: number | null;
}

/** The inputs of the page. It owns nothing but what is seen: each change is told, and what is to be shown is given back. */
export class PlannerForm {
  readonly #inputs: readonly FormInput[];
  readonly #knobs = element("div", { class: "knobs" });
  readonly #knobSummary = element("summary");
  readonly #knobDetails = element("details", { class: "knob-details" }, this.#knobSummary, this.#knobs);
  readonly #onInput: (name: string, value: string) => void;
  #rule = "";
  #knobInputs: readonly FormInput[] = [];

  constructor(root: HTMLFormElement, filePicker: HTMLElement, onInput: (name: string, value: string) => void) {
    this.#onInput = onInput;
    this.#inputs = FIELD_GROUPS.flatMap(({ rows }) => rows.flat()).map((field) => formInput(field, onInput));
    root.append(...FIELD_GROUPS.map(({ legend, rows }) => this.#fieldset(legend, rows)));
    root.querySelector("fieldset")?.append(filePicker);
    root.lastElementChild?.append(this.#knobDetails);
    root.addEventListener("submit", (event) => event.preventDefault());
  }

  /** Shows a state, its errors, and only the inputs that matter for it. */
  show(state: PlannerState, errors: readonly FieldError[], context: FormContext): void {
    this.#showKnobs(state);
    for (const input of [...this.#inputs, ...this.#knobInputs]) {
      const { name } = input;
      input.show(isFieldName(name) ? state[name] : (state.knobs[name] ?? ""));
      input.showError(errors.find(({ field }) => field === name)?.message ?? null);
    }
    this.#hide("source", state.model !== OWN_MODEL);
    this.#hide("memory", state.card !== OTHER_CARD);
    this.#hide("encoder", !context.needsEncoder && state.encoder === "");
    const own = context.ownContext === null ? "" : `${context.ownContext}, the model's own`;
    this.#control("context")?.setAttribute("placeholder", own);
    if (errors.some(({ field }) => !isFieldName(field))) this.#knobDetails.open = true;
  }

  #fieldset(legend: string, rows: (typeof FIELD_GROUPS)[number]["rows"]): HTMLElement {
    const lines = rows.map((row) => element("div", { class: `row of-${row.length}` }, ...row.map(this.#rootOf)));
    return element("fieldset", {}, element("legend", {}, legend), ...lines);
  }

  readonly #rootOf = ({ name }: { readonly name: string }): HTMLElement => {
    return this.#inputs.find((input) => input.name === name)?.root ?? element("span");
  };

  #showKnobs({ rule, knobs }: PlannerState): void {
    if (rule === this.#rule) return;
    this.#rule = rule;
    this.#knobInputs = knobFields(rule).map((field) => formInput(field, this.#onInput));
    this.#knobs.replaceChildren(...this.#knobInputs.map(({ root }) => root));
    this.#knobDetails.hidden = this.#knobInputs.length === 0;
    this.#knobDetails.open = this.#knobInputs.some(({ name }) => (knobs[name] ?? "") !== "");
    this.#knobSummary.textContent = Object.hasOwn(RULES, rule) ? `Knobs of ${RULES[rule as RuleName].name}` : "";
  }

  #hide(name: string, hidden: boolean): void {
    this.#rootOf({ name }).hidden = hidden;
  }

  #control(name: string): HTMLElement | null {
    return this.#rootOf({ name }).querySelector("input");
  }
}
