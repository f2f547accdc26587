import type { PlanSuggestion } from "@kv/config";
import type { Outcome, Plan } from "../plan/plan-of-state.ts";
import type { ContextPanel } from "./context-panel.ts";
import { element } from "./element.ts";
import { engineLog } from "./engine-log.ts";
import { labelOfField } from "./form-fields.ts";
import { layerTable } from "./layer-table.ts";
import { limitList } from "./limit-list.ts";
import { memoryBar } from "./memory-bar.ts";
import { suggestionList } from "./suggestion-list.ts";
import { verdictSentence, verdictTitle } from "./verdict.ts";

const STALE = "Not updated: the figures below are of the last inputs that could be planned.";
const EMPTY = "Nothing to show yet.";

/** The right side of the page: everything that follows from the inputs. */
export class Result {
  readonly #root: HTMLElement;
  readonly #panel: ContextPanel;
  readonly #onApply: (suggestion: PlanSuggestion) => void;
  readonly #notice = element("div", { class: "notice", role: "alert", hidden: true });
  readonly #verdict = element("div", { class: "verdict", role: "status" });
  readonly #bar = element("div", { class: "memory" });
  readonly #suggestions = section("What would make it fit");
  readonly #limits = section("How far the card goes");
  readonly #chart: HTMLElement;
  readonly #layers = section("Layers");
  readonly #log = section("Rule");
  readonly #assumptions = section("Assumptions");

  constructor(root: HTMLElement, panel: ContextPanel, onApply: (suggestion: PlanSuggestion) => void) {
    this.#root = root;
    this.#panel = panel;
    this.#onApply = onApply;
    this.#chart = element("section", {}, element("h2", {}, "One card against the context"), panel.root);
    const rest = [this.#suggestions, this.#limits, this.#layers, this.#log, this.#assumptions];
    root.append(this.#notice, this.#verdict, this.#bar, this.#chart, ...rest);
  }

  /** Shows a plan. Errors leave the last plan where it is, marked as not of these inputs. */
  show({ plan, errors }: Outcome, rule: string): void {
    this.#root.toggleAttribute("data-stale", plan === null);
    this.#notice.hidden = plan !== null;
    this.#notice.replaceChildren();
    if (plan === null) {
      const reasons = errors.map(({ field, message }) => element("li", {}, `${labelOfField(field, rule)}: ${message}`));
      this.#notice.append(this.#root.hasAttribute("data-filled") ? STALE : EMPTY, element("ul", {}, ...reasons));
      return;
    }
    this.#root.setAttribute("data-filled", "");
    this.#showPlan(plan);
  }

  #showPlan(plan: Plan): void {
    const { shape, report } = plan;
    this.#verdict.replaceChildren(
      element("p", { class: "model" }, `${report.model}, ${report.dtype}, rule ${report.rule}`),
      element("h2", { id: "verdict", class: report.fits ? "fits" : "over" }, verdictTitle(report)),
      element("p", {}, verdictSentence(report)),
    );
    this.#bar.replaceChildren(...memoryBar(report));
    this.#panel.show(plan);
    this.#suggestions.hidden = report.fits;
    fill(this.#suggestions, suggestionList(report.suggestions, this.#onApply));
    fill(this.#limits, limitList(report));
    fill(this.#layers, layerTable(shape, report));
    fill(this.#log, ...engineLog(report));
    fill(this.#assumptions, ...assumptions(report.assumptions));
  }
}

function section(title: string): HTMLElement {
  return element("section", {}, element("h2", {}, title));
}

function fill(into: HTMLElement, ...contents: readonly Node[]): void {
  into.replaceChildren(...[into.firstElementChild, ...contents].filter((each) => each !== null));
}

function assumptions(sentences: readonly string[]): Node[] {
  if (sentences.length === 0)
    return [element("p", {}, "None: the model's file says everything that decides about its cache.")];
  return [element("ul", {}, ...sentences.map((sentence) => element("li", {}, sentence)))];
}
