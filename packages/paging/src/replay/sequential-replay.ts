import type { BlockManager } from "../block-manager.ts";
import { checkInteger } from "../check.ts";
import type { PolicyFactory } from "../eviction-policy.ts";
import type { PolicyName } from "../policies/by-name.ts";
import { PromptBlocks } from "./prompt-blocks.ts";
import { plainPool, type ReplayObserver } from "./replay-pool.ts";
import type { ReplayProgress, ReplayReport } from "./replay-report.ts";
import { ReplayTotals } from "./replay-totals.ts";
import type { Trace, TraceRequest } from "./trace.ts";

/** How a trace is replayed one request after another. */
export interface SequentialReplayOptions {
  /** Blocks of the pool; `"unlimited"` takes as many as the trace can fill. */
  numBlocks: number | "unlimited";
  /** Default: as the trace has them, 512. */
  tokensPerBlock?: number;
  /** Default "reuse-rate". */
  policy?: PolicyName | PolicyFactory;
  /** The blocks of the trace's prompts, where they are known from a replay before. */
  promptBlocks?: PromptBlocks;
  onProgress?: ReplayProgress;
  /** Its tokens are whole blocks: token `i` of a table is block `i` of the prompt. */
  observer?: ReplayObserver;
}

/**
 * Replays prompts one after another: each is looked up, stored whole and given back before the next comes. Shows the
 * cache alone. The last block of a prompt, which may be partial, counts and is cached as one.
 *
 * The real allocator is used with one token per block: the number of the block, which stands for all of its tokens. Of a
 * prompt that is larger than the pool the beginning is stored.
 *
 * @throws InvalidOptionError
 */
export function replaySequentially(trace: Trace, options: SequentialReplayOptions): ReplayReport {
  const { policy = "reuse-rate", tokensPerBlock = trace.tokensPerId, onProgress, observer = {} } = options;
  const blocks = options.promptBlocks ?? new PromptBlocks(trace, tokensPerBlock);
  const wanted = options.numBlocks === "unlimited" ? Math.max(1, blocks.mostBlocks) : options.numBlocks;
  const numBlocks = checkInteger("numBlocks", wanted, 1);
  let nowMs = 0;
  const makePool = observer.makePool ?? plainPool;
  const manager = makePool({ numBlocks, tokensPerBlock: 1, policy, clock: () => nowMs });
  const requests = blocks.prompts.length;
  const totals = new ReplayTotals({ manager, requests, tokensPerBlock, policy, onProgress });
  blocks.prompts.forEach((prompt, request) => {
    nowMs = Math.max(nowMs, (trace.requests[request] as TraceRequest).arrivalMs);
    serve(trace.requests[request] as TraceRequest, request, prompt, tokensPerBlock, manager, totals, observer, nowMs);
  });
  return totals.report("sequential");
}

function serve(
  { promptTokens, outputTokens }: TraceRequest,
  request: number,
  prompt: Int32Array,
  tokensPerBlock: number,
  manager: BlockManager,
  totals: ReplayTotals,
  observer: ReplayObserver,
  nowMs: number,
): void {
  const stored = prompt.length > manager.numBlocks ? prompt.subarray(0, manager.numBlocks) : prompt;
  const table = manager.createSequence(stored, { maxReusedTokens: stored.length });
  observer.onBegin?.(request, table);
  observer.onCompute?.(request, table, table.reusedTokens, table.length);
  const hitBlocks = table.reusedTokens;
  const places = prompt.length * tokensPerBlock;
  totals.outputTokens += outputTokens;
  totals.measurePool();
  totals.held(Math.min(promptTokens, places), places, 1);
  const reusedTokens = Math.min(hitBlocks * tokensPerBlock, promptTokens);
  totals.found({ promptTokens, requestedBlocks: prompt.length, hitBlocks, reusedTokens }, nowMs);
  observer.onEnd?.(request, table);
  table.dispose();
}
