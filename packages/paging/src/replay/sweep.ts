import type { ReplayReport } from "./replay-report.ts";
import { replaySequentially, type SequentialReplayOptions } from "./sequential-replay.ts";
import type { Trace } from "./trace.ts";

/** Hit rate of one pool size. */
export interface SweepPoint {
  readonly numBlocks: number;
  readonly hitBlocks: number;
  readonly hitRate: number;
}

/** Replays a trace at several pool sizes, for the curve of hit rate against memory. */
export function sweepPoolSizes(
  trace: Trace,
  sizes: readonly number[],
  options: Omit<SequentialReplayOptions, "numBlocks">,
): SweepPoint[] {
  return sizes.map((numBlocks) => {
    const report: ReplayReport = replaySequentially(trace, { ...options, numBlocks });
    return { numBlocks, hitBlocks: report.blocks.hit, hitRate: report.hitRate };
  });
}

/** Pool sizes for a sweep: `count` of them, evenly spaced on a logarithmic scale, the last one all that a trace could use. */
export function sweepSizes(unlimitedBlocks: number, count = 12): number[] {
  const first = Math.max(1, Math.min(unlimitedBlocks, Math.floor(unlimitedBlocks / 256)));
  const ratio = count < 2 ? 1 : (unlimitedBlocks / first) ** (1 / (count - 1));
  const sizes = Array.from({ length: count }, (_, i) => Math.round(first * ratio ** i));
  return [...new Set([...sizes.slice(0, -1), unlimitedBlocks])];
}
