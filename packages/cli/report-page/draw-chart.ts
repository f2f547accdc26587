import uPlot from "uplot";
import { type Chart, count } from "./charts.ts";

const HEIGHT = 260;

/** Draws a chart into a section of its own, again when its width or the colours of the system change. */
export function drawChart(chart: Chart, into: HTMLElement): void {
  const section = document.createElement("section");
  section.id = chart.id;
  const heading = document.createElement("h2");
  heading.textContent = chart.title;
  const plot = document.createElement("div");
  section.append(heading, plot);
  into.append(section);
  let drawn: uPlot | undefined;
  const redraw = (): void => {
    drawn?.destroy();
    drawn = new uPlot(optionsOf(chart, plot.clientWidth), chart.columns, plot);
  };
  let width = 0;
  new ResizeObserver(() => {
    if (plot.clientWidth === width) return;
    width = plot.clientWidth;
    redraw();
  }).observe(plot);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
}

function optionsOf({ columns, lines, unit, xLabel, isLogarithmic }: Chart, width: number): uPlot.Options {
  const axis = {
    stroke: color("muted"),
    font: "12px system-ui, sans-serif",
    labelFont: "12px system-ui, sans-serif",
    grid: { stroke: color("line"), width: 1 },
    ticks: { show: false },
  };
  const hasFewPoints = columns[0].length < 30;
  return {
    width,
    height: HEIGHT,
    scales: {
      x: { time: false, distr: isLogarithmic ? 3 : 1 },
      y: { range: (_, __, most) => [0, most > 0 ? most * 1.05 : 1] },
    },
    axes: [
      { ...axis, label: xLabel, values: (_, ticks) => ticks.map((tick) => (tick === null ? "" : count(tick))) },
      { ...axis, size: 72, values: (_, ticks) => ticks.map(unit) },
    ],
    series: [
      { label: xLabel, value: (_, value) => shown(value, count) },
      ...lines.map(({ name, color: named }) => ({
        label: name,
        stroke: color(named),
        width: 2,
        points: { show: hasFewPoints },
        value: (_: uPlot, value: number) => shown(value, unit),
      })),
    ],
  };
}

/** The library gives null where the pointer is on no point. */
function shown(value: number, unit: (value: number) => string): string {
  return Number.isFinite(value) ? unit(value) : "–";
}

function color(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
