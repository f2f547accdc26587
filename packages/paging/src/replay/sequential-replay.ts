import { BlockManager } from "../block-manager.ts";
import { checkInteger } from "../check.ts";
import type { PolicyFactory } from "../eviction-policy.ts";
import type { PolicyName } from "../policies/by-name.ts";
import { type ReplayProgress, type ReplayReport, SampleSeries } from "./replay-report.ts";
import type { Trace, TraceRequest } from "./trace.ts";
import { BlockNumbers } from "./trace-tokens.ts";

/** How a trace is replayed one request after another. */
export interface SequentialReplayOptions {
  /** Blocks of the pool; `"unlimited"` takes as many as the trace has different ones. */
  numBlocks: number | "unlimited";
  /** Default: as the trace has them, 512. */
  tokensPerBlock?: number;
  /** Default "reuse-rate". */
  policy?: PolicyName | PolicyFactory;
  onProgress?: ReplayProgress;
}

/**
 * Replays prompts one after another: each is looked up, stored whole and given back before the next comes. Shows the
 * cache alone. The last block of a prompt, which may be partial, counts and is cached as one.
 *
 * The real allocator is used with one token per block: the number of the block, which stands for all of its tokens. Of a
 * prompt that is larger than the pool the beginning is stored.
 */
export function replaySequentially(trace: Trace, options: SequentialReplayOptions): ReplayReport {
  const { policy = "reuse-rate", tokensPerBlock = trace.tokensPerId, onProgress } = options;
  const numbers = new BlockNumbers(trace, tokensPerBlock);
  const prompts = trace.requests.map((_, request) => numbers.of(request));
  const wanted = options.numBlocks === "unlimited" ? Math.max(1, numbers.count) : options.numBlocks;
  const numBlocks = checkInteger("numBlocks", wanted, 1);
  let now = 0;
  const manager = new BlockManager({ numBlocks, tokensPerBlock: 1, policy, clock: () => now });
  const series = new SampleSeries(prompts.length);
  const total = { requested: 0, hit: 0, promptTokens: 0, outputTokens: 0, peakBlocks: 0 };
  prompts.forEach((blocks, i) => {
    const request = trace.requests[i] as TraceRequest;
    now = request.arrivalMs;
    const stored = blocks.length > numBlocks ? blocks.subarray(0, numBlocks) : blocks;
    const table = manager.createSequence(stored, { maxReusedTokens: stored.length });
    table.dispose();
    total.requested += blocks.length;
    total.hit += table.reusedTokens;
    total.promptTokens += request.promptTokens;
    total.outputTokens += request.outputTokens;
    total.peakBlocks = Math.max(total.peakBlocks, manager.counters().cachedBlocks);
    series.add(i + 1, blocks.length, table.reusedTokens, () => {
      onProgress?.(i + 1, prompts.length);
      return stateOf(manager, now);
    });
  });
  return report(manager, total, { policy, tokensPerBlock, series, requests: prompts.length });
}

function stateOf(
  manager: BlockManager,
  timeMs: number,
): { timeMs: number; occupiedBlocks: number; heldBlocks: number; evictedBlocks: number } {
  const { cachedBlocks, removedBlocks } = manager.counters();
  return { timeMs, occupiedBlocks: cachedBlocks, heldBlocks: 0, evictedBlocks: removedBlocks };
}

function report(
  manager: BlockManager,
  total: { requested: number; hit: number; promptTokens: number; outputTokens: number; peakBlocks: number },
  run: { policy: PolicyName | PolicyFactory; tokensPerBlock: number; series: SampleSeries; requests: number },
): ReplayReport {
  const places = total.requested * run.tokensPerBlock;
  const occupancy = places === 0 ? 1 : total.promptTokens / places;
  return {
    mode: "sequential",
    policy: typeof run.policy === "string" ? run.policy : "custom",
    tokensPerBlock: run.tokensPerBlock,
    numBlocks: manager.numBlocks,
    requests: run.requests,
    blocks: { requested: total.requested, hit: total.hit, evicted: manager.counters().removedBlocks },
    hitRate: total.requested === 0 ? 0 : total.hit / total.requested,
    tokens: { prompt: total.promptTokens, output: total.outputTokens, reused: total.hit * run.tokensPerBlock },
    peakBlocks: total.peakBlocks,
    occupancy,
    waste: { tail: 1 - occupancy },
    samples: run.series.samples,
  };
}
