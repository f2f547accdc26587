import type uPlot from "uplot";
import type { ReportData } from "./report-data.ts";

/** One chart: its title, its columns, and how its lines are named and coloured. */
export interface Chart {
  readonly id: string;
  readonly title: string;
  readonly xLabel: string;
  readonly isLogarithmic: boolean;
  readonly columns: uPlot.AlignedData;
  readonly lines: readonly { readonly name: string; readonly color: string }[];
  readonly unit: (value: number) => string;
}

/** The charts of a report; the last one only where pools of several sizes were replayed. */
export function chartsOf({ samples, sweep, numBlocks }: ReportData): Chart[] {
  const minutes = samples.map(({ timeMs }) => timeMs / 60_000);
  const column = (value: (sample: ReportData["samples"][number]) => number): number[] => samples.map(value);
  const overTime = { xLabel: "minutes of the trace", isLogarithmic: false };
  const charts: Chart[] = [
    {
      ...overTime,
      id: "occupancy",
      title: "Occupancy of the pool",
      columns: [minutes, column((at) => at.occupiedBlocks / numBlocks), column((at) => at.heldBlocks / numBlocks)],
      lines: [
        { name: "held or cached", color: "first" },
        { name: "held by sequences", color: "second" },
      ],
      unit: percent,
    },
    {
      ...overTime,
      id: "hit-rate",
      title: "Hit rate",
      columns: [minutes, column((at) => at.hitRate)],
      lines: [{ name: "blocks hit since the point before", color: "first" }],
      unit: percent,
    },
    {
      ...overTime,
      id: "evictions",
      title: "Evictions",
      columns: [minutes, column((at) => at.evictedBlocks)],
      lines: [{ name: "blocks evicted so far", color: "first" }],
      unit: count,
    },
  ];
  if (sweep.length > 0) charts.push(sweepChart(sweep));
  return charts;
}

function sweepChart(sweep: ReportData["sweep"]): Chart {
  return {
    id: "sweep",
    title: "Hit rate against pool size",
    xLabel: "blocks of the pool, requests one after another",
    isLogarithmic: true,
    columns: [sweep.map(({ numBlocks }) => numBlocks), sweep.map(({ hitRate }) => hitRate)],
    lines: [{ name: "blocks hit", color: "first" }],
    unit: percent,
  };
}

function percent(value: number): string {
  return `${(100 * value).toFixed(1)} %`;
}

/** "12,345" */
export function count(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}
