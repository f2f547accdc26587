import { bytesOf, type CurvePoint } from "../plan/context-curve.ts";
import type { PartName } from "../plan/memory-parts.ts";

/** Columns for uPlot: contexts, then one per part with all that lies below it, the topmost first. */
export type StackedColumns = [number[], ...number[][]];

/**
 * Parts on top of each other. The topmost comes first because each area is painted over the one before it, down to zero.
 *
 * names: from the bottom
 */
export function stackedColumns(points: readonly CurvePoint[], names: readonly PartName[]): StackedColumns {
  let below = points.map(() => 0);
  const columns = names.map((name) => {
    const own = bytesOf(points, name);
    below = below.map((bytes, i) => bytes + (own[i] ?? 0));
    return below;
  });
  return [points.map(({ tokens }) => tokens), ...columns.reverse()];
}

/** A context on an axis: `0`, `512`, `8K`, `1M`, in powers of two as contexts are. */
export function axisTokens(tokens: number): string {
  if (tokens >= 2 ** 20 && tokens % 2 ** 18 === 0) return `${tokens / 2 ** 20}M`;
  return tokens >= 1024 && tokens % 1024 === 0 ? `${tokens / 1024}K` : `${tokens}`;
}
