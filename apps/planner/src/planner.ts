import { findPreset } from "@kv/config/presets";
import { changeByFile } from "./model/dropped-file.ts";
import type { FieldError } from "./plan/field-error.ts";
import { type Outcome, planOfState } from "./plan/plan-of-state.ts";
import { suggestedChange } from "./plan/suggested-change.ts";
import { DEFAULT_STATE, isFieldName, OWN_MODEL, type PlannerState } from "./state/planner-state.ts";
import { linkOf, stateOfLink } from "./state/state-link.ts";
import { ContextPanel } from "./view/context-panel.ts";
import { byId, element } from "./view/element.ts";
import { filePicker } from "./view/file-picker.ts";
import { type FormContext, PlannerForm } from "./view/planner-form.ts";
import { Result } from "./view/result.ts";
import { verdictTitle } from "./view/verdict.ts";

/** The page: it keeps the state, and after each change plans again, shows what came of it, and writes it into the address. */
export class Planner {
  #state: PlannerState = DEFAULT_STATE;
  #context: FormContext = { needsEncoder: false, ownContext: null };
  readonly #picker = filePicker((file) => void this.#takeFile(file));
  readonly #form = new PlannerForm(byId("form", HTMLFormElement), this.#picker.root, (name, value) => {
    this.#change(changeByInput(this.#state, name, value));
  });
  readonly #summary = byId("summary", HTMLButtonElement);
  readonly #result = new Result(
    byId("result", HTMLElement),
    new ContextPanel((tokens) => this.#change({ context: String(tokens) })),
    (suggestion) => {
      this.#change(suggestedChange(this.#state, suggestion) ?? {});
      // Its button is gone with the list that it was in.
      this.showResult();
    },
  );

  /** Takes the state from the page's address. */
  async load(): Promise<void> {
    this.#state = await stateOfLink(location.hash);
    this.#show();
  }

  /** Goes back to what the page opens with. */
  reset(): void {
    this.#picker.say("", false);
    this.#change(DEFAULT_STATE);
  }

  /** The address that shows what the page shows now. */
  async link(): Promise<string> {
    const fragment = await linkOf(this.#state);
    return new URL(fragment === "" ? location.pathname : `#${fragment}`, location.href).href;
  }

  /** Brings the result into view and the keyboard to it. */
  showResult(): void {
    const root = byId("result", HTMLElement);
    root.scrollIntoView();
    root.focus({ preventScroll: true });
  }

  #change(change: Partial<PlannerState>): void {
    this.#state = { ...this.#state, ...change };
    this.#show();
    void this.#writeAddress();
  }

  async #writeAddress(): Promise<void> {
    const state = this.#state;
    const link = await this.link();
    // A later change has its own turn.
    if (state === this.#state) history.replaceState(null, "", link);
  }

  async #takeFile(file: File): Promise<void> {
    try {
      const change = await changeByFile(file);
      this.#change(change);
      this.#picker.say(change.source === undefined ? `Weights from ${file.name}` : `Model from ${file.name}`, false);
    } catch (error) {
      this.#picker.say(error instanceof Error ? error.message : String(error), true);
    }
  }

  #show(): void {
    const outcome = planOfState(this.#state);
    this.#context = contextOf(outcome) ?? this.#context;
    this.#form.show(this.#state, outcome.errors, this.#context);
    this.#result.show(outcome, this.#state.rule);
    const title = outcome.plan === null ? errorTitle(outcome.errors) : verdictTitle(outcome.plan.report);
    this.#summary.replaceChildren(title, element("span", { class: "unseen" }, ", show the result"));
  }
}

function contextOf({ plan }: Outcome): FormContext | null {
  if (plan === null) return null;
  const needsEncoder = plan.shape.layers.some((layer) => layer.kind === "cross" && layer.encoderTokens === null);
  return { needsEncoder, ownContext: plan.shape.maxContextTokens };
}

function errorTitle(errors: readonly FieldError[]): string {
  return `${errors.length === 1 ? "An input is" : "Inputs are"} not right`;
}

/** What a change of one input changes: weights and a file's name belong to the model that they came with. */
function changeByInput(state: PlannerState, name: string, value: string): Partial<PlannerState> {
  if (!isFieldName(name)) return { knobs: { ...state.knobs, [name]: value } };
  if (name === "source") return { source: value, file: "" };
  if (name !== "model") return { [name]: value };
  if (value !== OWN_MODEL) return { model: value, weights: "" };
  const preset = findPreset(state.model);
  const start = state.source === "" && preset !== undefined ? JSON.stringify(preset.config, null, 2) : state.source;
  return { model: value, source: start };
}
