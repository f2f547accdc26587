import { PromptBlocks, replayTokens, type SweepPoint, sweepPoolSizes, sweepSizes } from "@kv/paging/replay";
import type { Progress } from "../progress.ts";
import { poolThatFits } from "./bookkeeping-memory.ts";
import type { ReplayRequest } from "./replay-request.ts";
import { countsByIds, poolOf } from "./run-replay.ts";

const observer = { makePool: poolThatFits };

/** Hit rates of several pool sizes, requests one after another; empty when none were asked for. */
export function runSweep(given: ReplayRequest, progress: Progress): SweepPoint[] {
  if (given.sweep === undefined) return [];
  const request: ReplayRequest = { ...given, mode: "sequential" };
  const { trace, tokensPerBlock, policy } = request;
  const promptBlocks = new PromptBlocks(trace, tokensPerBlock);
  const sizes = given.sweep === "auto" ? sweepSizes(Math.max(1, promptBlocks.mostBlocks)) : given.sweep;
  progress.start("sweeping", sizes.length);
  try {
    return sizes.map((numBlocks, i) => {
      const [point] = countsByIds(request)
        ? sweepPoolSizes(trace, [numBlocks], { policy, tokensPerBlock, promptBlocks, observer })
        : [byTokens(request, numBlocks)];
      progress.update(i + 1);
      return point as SweepPoint;
    });
  } finally {
    progress.stop();
  }
}

function byTokens(request: ReplayRequest, numBlocks: number): SweepPoint {
  const { poolBytes: _, ...pool } = poolOf({ ...request, blocks: numBlocks });
  const { blocks, hitRate } = replayTokens(request.trace, { ...pool, policy: request.policy, observer });
  return { numBlocks, hitBlocks: blocks.hit, evictedBlocks: blocks.evicted, hitRate };
}
