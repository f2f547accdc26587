import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { type ChartRange, chartContexts } from "../plan/chart-range.ts";
import { type CurvePoint, contextCurve, partNames } from "../plan/context-curve.ts";
import { usedBytes } from "../plan/memory-parts.ts";
import type { Plan } from "../plan/plan-of-state.ts";
import { stackedColumns } from "./chart-data.ts";
import { chartOptions } from "./chart-options.ts";
import { element } from "./element.ts";
import { bytes, count, PART_LABELS } from "./words.ts";

/** Whom a chart tells. */
export interface ChartListener {
  /** The context that was clicked. */
  onPick(tokens: number): void;
  /** What lies under the pointer, in words; what was asked for when there is no pointer. */
  onPoint(words: string): void;
  /** Where the plot lies after it was drawn, in the page's pixels from the left of the chart. */
  onDraw(left: number, width: number): void;
}

/** The memory of one card against the context. */
export class ContextChart {
  readonly root: HTMLElement = element("div", { class: "chart", role: "img" });
  readonly #listener: ChartListener;
  #chart: uPlot | undefined;
  #drawnWidth = 0;
  #shown: { readonly plan: Plan; readonly range: ChartRange } | undefined;

  constructor(listener: ChartListener) {
    this.#listener = listener;
    new ResizeObserver(() => {
      if (this.root.clientWidth !== this.#drawnWidth) this.#redraw();
    }).observe(this.root);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#redraw());
  }

  show(plan: Plan, range: ChartRange): void {
    this.#shown = { plan, range };
    this.#redraw();
  }

  #redraw(): void {
    const width = this.root.clientWidth;
    if (this.#shown === undefined || width === 0) return;
    const { plan, range } = this.#shown;
    const points = contextCurve(plan, chartContexts(range, plan));
    const { budgetBytes, tokens } = plan.report;
    const names = partNames(points);
    const highestBytes = highestShown(points, plan);
    const { onDraw: onReady } = this.#listener;
    const look = { width, names, most: range.most, highestBytes, budgetBytes, tokens, onReady };
    this.#drawnWidth = width;
    this.#chart?.destroy();
    this.root.setAttribute("aria-label", labelOf(plan, range));
    this.#chart = new uPlot(chartOptions(look, colorOf), stackedColumns(points, names), this.root);
    this.#listen(this.#chart, points, plan);
  }

  #listen(chart: uPlot, points: readonly CurvePoint[], plan: Plan): void {
    const own = points.find(({ tokens }) => tokens === plan.report.tokens);
    const tell = (point: CurvePoint | undefined): void => {
      this.#listener.onPoint(point === undefined ? "" : readoutOf(point, plan));
    };
    tell(own);
    chart.over.addEventListener("pointermove", () => tell(points[chart.cursor.idx ?? -1] ?? own));
    chart.over.addEventListener("pointerleave", () => tell(own));
    chart.over.addEventListener("click", () => {
      const point = points[chart.cursor.idx ?? -1];
      if (point !== undefined) this.#listener.onPick(point.tokens);
    });
  }
}

/** What is many times the card runs off the chart, so that the card itself can still be seen. */
function highestShown(points: readonly CurvePoint[], { report }: Plan): number {
  const highest = points.reduce((most, { parts }) => Math.max(most, usedBytes(parts)), 0);
  return Math.min(highest, Math.max(3 * report.budgetBytes, 1.2 * (report.weightsBytes + report.reserveBytes)));
}

function colorOf(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function labelOf({ report }: Plan, { most }: ChartRange): string {
  const { maxContext, budgetBytes } = report;
  const what = `Memory of one card against the context, from 0 to ${count(most)} tokens`;
  if (maxContext === null) return `${what}: it does not grow`;
  if (maxContext > most) return `${what}: the card's ${bytes(budgetBytes)} are not reached`;
  return `${what}: the card's ${bytes(budgetBytes)} are reached at ${count(maxContext)} tokens`;
}

/** A point in words: `8,192 tokens: weights 14.96 GiB, full attention 8 GiB; 1.03 GiB free`. */
export function readoutOf({ tokens, parts }: CurvePoint, { report }: Plan): string {
  const words = parts.map(({ name, bytes: size }) => `${PART_LABELS[name].toLowerCase()} ${bytes(size)}`);
  const left = report.budgetBytes - usedBytes(parts);
  const end = left >= 0 ? `${bytes(left)} free` : `${bytes(-left)} too much`;
  return `${count(tokens)} tokens: ${words.join(", ")}; ${end}`;
}
