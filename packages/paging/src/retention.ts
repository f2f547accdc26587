import { checkInteger } from "./check.ts";
import type { Pool } from "./pool.ts";

/** How long the blocks of some tokens are worth keeping; read by the policy `priority`, ignored by others. */
export interface RetentionRange {
  /** First position. */
  start: number;
  /** Behind the last position. Default: all that follow, generated tokens included. */
  end?: number;
  /** 0 (first to go) to 100 (last); 35 is what blocks without a range have. */
  priority: number;
  /** Milliseconds after the last use for which the priority holds. Default: for ever. */
  ttlMs?: number;
}

/** @throws InvalidOptionError if a range is not well formed */
export function checkRetention(ranges: readonly RetentionRange[]): void {
  for (const { start, end, priority, ttlMs } of ranges) {
    checkInteger("start of a retention range", start, 0);
    checkInteger("priority of a retention range", priority, 0, 100);
    if (end !== undefined) checkInteger("end of a retention range", end, start + 1);
    if (ttlMs !== undefined) checkInteger("ttlMs of a retention range", ttlMs, 1);
  }
}

/** Gives a block that holds the tokens `[start, end)` the highest priority of the ranges that touch it. */
export function retainBlock(
  pool: Pool,
  ranges: readonly RetentionRange[],
  block: number,
  start: number,
  end: number,
): void {
  let best: RetentionRange | undefined;
  for (const range of ranges) {
    if (range.start >= end || (range.end ?? Number.POSITIVE_INFINITY) <= start) continue;
    if (best === undefined || range.priority > best.priority) best = range;
  }
  if (best === undefined) return;
  const { policies } = pool.allocator;
  policies[pool.allocator.sizeOf(block)]?.retain?.(block, best.priority, best.ttlMs ?? Number.POSITIVE_INFINITY);
}
