import { formatBytes } from "@kv/config";
import type uPlot from "uplot";
import type { PartName } from "../plan/memory-parts.ts";
import { axisTokens } from "./chart-data.ts";

/** What a chart's looks depend on. */
export interface ChartLook {
  readonly width: number;
  /** From the bottom. */
  readonly names: readonly PartName[];
  /** The last context. */
  readonly most: number;
  readonly highestBytes: number;
  readonly budgetBytes: number;
  readonly tokens: number;
  /** Is told where the plot lies, in the page's pixels from the left of the chart, once that is known. */
  readonly onReady: (left: number, width: number) => void;
}

const POWERS_OF_TWO = Array.from({ length: 53 }, (_, i) => 2 ** i);

/** uPlot's options for a stack of parts, with the card's limit across and the context asked for upright. */
export function chartOptions(look: ChartLook, color: (name: string) => string): uPlot.Options {
  const axis = { stroke: color("muted"), font: "12px system-ui, sans-serif", ticks: { show: false } };
  const grid = { stroke: color("line"), width: 1 };
  return {
    width: look.width,
    height: look.width < 480 ? 240 : 320,
    pxAlign: false,
    padding: [12, 16, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
    scales: {
      x: { time: false, range: [0, look.most] },
      y: { range: [0, Math.max(look.highestBytes, look.budgetBytes) * 1.06] },
    },
    axes: [
      {
        ...axis,
        grid: { show: false },
        incrs: POWERS_OF_TWO,
        size: 32,
        space: 56,
        values: (_, ticks) => ticks.map(axisTokens),
      },
      {
        ...axis,
        grid,
        incrs: POWERS_OF_TWO,
        size: 68,
        space: 36,
        values: (_, ticks) => ticks.map((bytes) => formatBytes(bytes)),
      },
    ],
    series: [{}, ...look.names.toReversed().map((name) => area(color(`part-${name}`), color("surface")))],
    hooks: {
      draw: [(chart) => drawMarks(chart, look, color)],
      ready: [({ over }) => look.onReady(over.offsetLeft, over.offsetWidth)],
    },
  };
}

/** An area down to zero; its edge separates it from the one above. */
function area(fill: string, edge: string): uPlot.Series {
  return { fill, stroke: edge, width: 0.6, pxAlign: false, points: { show: false } };
}

/** What lies beyond the card fades; then the card's limit, and the context asked for. */
function drawMarks(chart: uPlot, { budgetBytes, tokens }: ChartLook, color: (name: string) => string): void {
  const { ctx, bbox } = chart;
  const x = chart.valToPos(tokens, "x", true);
  const y = chart.valToPos(budgetBytes, "y", true);
  const pixel = devicePixelRatio;
  ctx.save();
  ctx.globalAlpha = 0.55;
  ctx.fillStyle = color("page");
  ctx.fillRect(bbox.left, bbox.top, bbox.width, y - bbox.top);
  ctx.globalAlpha = 1;
  ctx.lineWidth = 1.5 * pixel;
  strokeLine(ctx, color("ink"), [3 * pixel, 4 * pixel], x, bbox.top, x, bbox.top + bbox.height);
  ctx.lineWidth = 2 * pixel;
  strokeLine(ctx, color("limit"), [], bbox.left, y, bbox.left + bbox.width, y);
  drawLabel(ctx, `card: ${formatBytes(budgetBytes)}`, bbox.left + 6 * pixel, y - 4 * pixel, color);
  ctx.restore();
}

/** The edge in the page's colour keeps the words legible on any area. */
function drawLabel(
  ctx: CanvasRenderingContext2D,
  words: string,
  x: number,
  y: number,
  color: (name: string) => string,
): void {
  ctx.font = `600 ${12 * devicePixelRatio}px system-ui, sans-serif`;
  ctx.textAlign = "left";
  ctx.textBaseline = "bottom";
  ctx.lineJoin = "round";
  ctx.lineWidth = 3 * devicePixelRatio;
  ctx.strokeStyle = color("page");
  ctx.strokeText(words, x, y);
  ctx.fillStyle = color("limit");
  ctx.fillText(words, x, y);
}

function strokeLine(
  ctx: CanvasRenderingContext2D,
  color: string,
  dash: readonly number[],
  ...[fromX, fromY, toX, toY]: readonly [number, number, number, number]
): void {
  ctx.strokeStyle = color;
  ctx.setLineDash([...dash]);
  ctx.beginPath();
  ctx.moveTo(fromX, fromY);
  ctx.lineTo(toX, toY);
  ctx.stroke();
}
