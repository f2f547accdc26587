import {
  PromptBlocks,
  type ReplayObserver,
  type ReplayReport,
  replaySequentially,
  replayTimed,
  replayTokens,
  type TimedReplayReport,
} from "@kv/paging/replay";
import { InputError } from "../input-error.ts";
import type { Progress } from "../progress.ts";
import { poolThatFits } from "./bookkeeping-memory.ts";
import { DecisionLog } from "./decision-log.ts";
import { bytesPerBlock, layeredPool, type PoolPlan } from "./replay-model.ts";
import type { ReplayRequest } from "./replay-request.ts";

/** What one replay gave. */
export interface Replayed {
  readonly report: ReplayReport | TimedReplayReport;
  /** Of all decisions. */
  readonly digest: string;
  /** Null without a model. */
  readonly poolBytes: number | null;
  readonly ms: number;
}

/** Blocks by number, for a replay of prompts one after another where every layer keeps every token. */
export function countsByIds({ mode, model }: ReplayRequest): boolean {
  return mode === "sequential" && (model === undefined || model.isUniform);
}

/** Replays, without memory or with the observer's. */
export function runReplay(request: ReplayRequest, progress: Progress, memory: ReplayObserver = {}): Replayed {
  const log = new DecisionLog();
  const observer: ReplayObserver = {
    ...memory,
    makePool: (options) => {
      const manager = (memory.makePool ?? poolThatFits)(options);
      log.begin(manager);
      return manager;
    },
    onEnd: (index, table) => {
      log.add(index, table);
      memory.onEnd?.(index, table);
    },
  };
  progress.start("replaying", request.trace.requests.length);
  const startedAt = performance.now();
  try {
    const { report, poolBytes } = replay(request, observer, (done) => progress.update(done));
    return { report, poolBytes, digest: log.digest(), ms: performance.now() - startedAt };
  } finally {
    progress.stop();
  }
}

function replay(
  request: ReplayRequest,
  observer: ReplayObserver,
  onProgress: (done: number) => void,
): Pick<Replayed, "report" | "poolBytes"> {
  const { trace, policy, mode, prefillRate, decodeRate, maxSequences } = request;
  if (countsByIds(request)) {
    const { blocks: numBlocks, tokensPerBlock, model, dtype } = request;
    const report = replaySequentially(trace, { numBlocks, tokensPerBlock, policy, onProgress, observer });
    const blockBytes = model === undefined ? null : bytesPerBlock(model.shape, tokensPerBlock, dtype);
    return { report, poolBytes: blockBytes === null ? null : blockBytes * report.numBlocks };
  }
  const { poolBytes, ...pool } = poolOf(request);
  const options = { ...pool, policy, onProgress, observer };
  if (mode === "sequential") return { report: replayTokens(trace, options), poolBytes };
  const rates = { prefillTokensPerSecond: prefillRate, stepMs: 1000 / decodeRate, maxSequences };
  return {
    report: replayTimed(trace, { ...options, ...rates }),
    poolBytes: request.model === undefined ? null : poolBytes,
  };
}

/** The pool of a replay by tokens. @throws InputError */
export function poolOf(request: ReplayRequest): PoolPlan {
  const { model, tokensPerBlock, dtype } = request;
  const numBlocks = request.blocks === "unlimited" ? unlimitedBlocks(request) : request.blocks;
  if (model !== undefined && !model.isUniform) {
    if (request.blocks === "unlimited") {
      throw new InputError("--blocks", `${model.name} has several kinds of layers; give --blocks a number`);
    }
    const { config: _, ...pool } = layeredPool(model, numBlocks, request);
    return pool;
  }
  const blockBytes = model === undefined ? 1 : bytesPerBlock(model.shape, tokensPerBlock, dtype);
  return { numBlocks, tokensPerBlock, bytesPerBlock: blockBytes, poolBytes: numBlocks * blockBytes };
}

/** As many as a timed replay can need: every different block of prompts, and each answer's own. */
function unlimitedBlocks({ trace, tokensPerBlock }: ReplayRequest): number {
  const answers = trace.requests.reduce(
    (sum, { outputTokens }) => sum + Math.ceil(outputTokens / tokensPerBlock) + 2,
    0,
  );
  return new PromptBlocks(trace, tokensPerBlock).mostBlocks + answers;
}
