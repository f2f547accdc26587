import { type ChartRange, chartRange, tableContexts } from "../plan/chart-range.ts";
import { contextCurve, partNames } from "../plan/context-curve.ts";
import { usedBytes } from "../plan/memory-parts.ts";
import type { Plan } from "../plan/plan-of-state.ts";
import { ContextChart } from "./context-chart.ts";
import { element, table } from "./element.ts";
import { bytes, count, PART_LABELS } from "./words.ts";

/** The chart with a slider that moves the context, and its figures as a table. */
export class ContextPanel {
  readonly root: HTMLElement;
  readonly #slider = element("input", { type: "range", id: "context-slider", min: 0 });
  readonly #readout = element("p", { class: "readout" });
  readonly #figures = element("div", { class: "wide" });
  readonly #chart: ContextChart;
  #shown: { readonly plan: Plan; readonly range: ChartRange } | undefined;

  constructor(onContext: (tokens: number) => void) {
    this.#chart = new ContextChart({
      onPick: onContext,
      onPoint: (words) => {
        this.#readout.textContent = words;
      },
      onDraw: (left, width) => this.#alignSlider(left, width),
    });
    const label = element("label", { for: "context-slider", class: "unseen" }, "Context, tokens, on the chart");
    const details = element("details", {}, element("summary", {}, "The chart as a table"), this.#figures);
    this.root = element("div", {}, this.#chart.root, label, this.#slider, this.#readout, details);
    this.#slider.addEventListener("input", () => {
      onContext(this.#slider.valueAsNumber);
    });
  }

  show(plan: Plan): void {
    const range = this.#rangeOf(plan);
    this.#shown = { plan, range };
    this.#chart.show(plan, range);
    this.#slider.max = String(range.most);
    this.#slider.step = String(range.step);
    this.#slider.value = String(plan.report.tokens);
    this.#slider.setAttribute("aria-valuetext", `${count(plan.report.tokens)} tokens`);
    this.#figures.replaceChildren(figures(plan, range));
  }

  /** While the slider moves, the range stays: a scale that changes under the thumb cannot be aimed at. */
  #rangeOf(plan: Plan): ChartRange {
    const isSliding = document.activeElement === this.#slider && this.#shown?.plan.shape === plan.shape;
    return isSliding && this.#shown !== undefined ? this.#shown.range : chartRange(plan);
  }

  /** The middle of the thumb, 16 pixels wide, lies under the context that it stands for. */
  #alignSlider(left: number, width: number): void {
    this.#slider.style.marginLeft = `${left - 8}px`;
    this.#slider.style.width = `${width + 16}px`;
  }
}

function figures(plan: Plan, range: ChartRange): HTMLElement {
  const points = contextCurve(plan, tableContexts(range, plan));
  const names = partNames(points);
  const rows = points.map(({ tokens, parts }) => {
    const own = names.map((name) => bytes(parts.find((part) => part.name === name)?.bytes ?? 0));
    const used = usedBytes(parts);
    return [count(tokens), ...own, bytes(used), bytes(plan.report.budgetBytes - used)];
  });
  const headings = ["Context", ...names.map((name) => PART_LABELS[name]), "Together", "Free"];
  return table("Memory of one card by context", headings, rows);
}
