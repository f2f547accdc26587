import { PromptBlocks } from "./prompt-blocks.ts";
import { replaySequentially, type SequentialReplayOptions } from "./sequential-replay.ts";
import type { Trace } from "./trace.ts";

/** What a trace finds in a pool of one size. */
export interface SweepPoint {
  readonly numBlocks: number;
  readonly hitBlocks: number;
  readonly evictedBlocks: number;
  readonly hitRate: number;
}

/** Replays a trace at several pool sizes, for the curve of hit rate against memory. The prompts are looked at once. */
export function sweepPoolSizes(
  trace: Trace,
  sizes: readonly number[],
  options: Omit<SequentialReplayOptions, "numBlocks">,
): SweepPoint[] {
  const promptBlocks = options.promptBlocks ?? new PromptBlocks(trace, options.tokensPerBlock ?? trace.tokensPerId);
  return sizes.map((numBlocks) => {
    const { blocks, hitRate } = replaySequentially(trace, { ...options, numBlocks, promptBlocks });
    return { numBlocks, hitBlocks: blocks.hit, evictedBlocks: blocks.evicted, hitRate };
  });
}

/** Pool sizes for a sweep: `count` of them, evenly spaced on a logarithmic scale, the last one all that a trace could use. */
export function sweepSizes(unlimitedBlocks: number, count = 12): number[] {
  const first = Math.max(1, Math.min(unlimitedBlocks, Math.floor(unlimitedBlocks / 256)));
  const ratio = count < 2 ? 1 : (unlimitedBlocks / first) ** (1 / (count - 1));
  const sizes = Array.from({ length: count }, (_, i) => Math.round(first * ratio ** i));
  return [...new Set([...sizes.slice(0, -1), unlimitedBlocks])];
}
