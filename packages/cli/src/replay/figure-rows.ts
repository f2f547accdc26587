import { formatBytes } from "@kv/config";
import type { ReplayReport, RequestBytes, TimedReplayReport } from "@kv/paging/replay";
import { formatCount, formatDuration } from "../units.ts";

/** A figure for people: its name, its value, a remark. */
export type FigureRow = readonly [name: string, value: string, remark: string];

/** What a replay measured, as rows of a table. */
export function figureRows(report: ReplayReport | TimedReplayReport): FigureRow[] {
  const { blocks, hitRate, peakBlocks, peakHeldBlocks, numBlocks, occupancy, waste, tokens, requestBytes } = report;
  return [
    ["blocks requested", formatCount(blocks.requested), ""],
    ["hit", formatCount(blocks.hit), percent(hitRate)],
    ["evicted", formatCount(blocks.evicted), ""],
    ["peak", formatCount(peakBlocks), `${percent(peakBlocks / numBlocks)} of the pool`],
    ["peak held", formatCount(peakHeldBlocks), `${percent(peakHeldBlocks / numBlocks)} of the pool`],
    ["prompt tokens", formatCount(tokens.prompt), `${percent(share(tokens.reused, tokens.prompt))} reused`],
    ["occupancy", percent(occupancy), "tokens over places in held blocks"],
    ["waste", percent(waste.tail), "behind the last tokens"],
    ...(["padding", "windows", "duplicates"] as const)
      .filter((cause) => waste[cause] > 0)
      .map((cause): FigureRow => ["", percent(waste[cause]), cause]),
    ...(requestBytes.held < requestBytes.everyToken ? [windowRow(requestBytes)] : []),
    ...(report.mode === "timed" ? timedRows(report as TimedReplayReport) : []),
  ];
}

function windowRow({ held, everyToken }: RequestBytes): FigureRow {
  const remark = `of ${formatBytes(everyToken)} if windows gave nothing back: ${percent(share(held, everyToken))}`;
  return ["a request's blocks", formatBytes(held), remark];
}

function timedRows({ durationMs, preemptions, rejected, peakSequences, firstTokenMs }: TimedReplayReport): FigureRow[] {
  return [
    ["duration", formatDuration(durationMs), "in the trace's time"],
    ["sequences at once", formatCount(peakSequences), "at most"],
    ["preempted", formatCount(preemptions), ""],
    ["rejected", formatCount(rejected), "larger than the pool"],
    ["first token", formatDuration(firstTokenMs.p50), `half of them; 99 %: ${formatDuration(firstTokenMs.p99)}`],
  ];
}

/** "36.64 %" */
export function percent(value: number): string {
  return `${(100 * value).toFixed(2)} %`;
}

function share(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}
