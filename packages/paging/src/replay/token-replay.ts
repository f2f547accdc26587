import type { BlockManager, BlockManagerOptions } from "../block-manager.ts";
import type { BlockTable } from "../block-table.ts";
import { checkInteger } from "../check.ts";
import { OutOfBlocksError } from "../errors.ts";
import { appendPart } from "./append-part.ts";
import { checkpointAfter } from "./checkpoint-after.ts";
import { plainPool, type ReplayObserver } from "./replay-pool.ts";
import type { ReplayProgress, ReplayReport } from "./replay-report.ts";
import { ReplayTotals } from "./replay-totals.ts";
import type { Trace, TraceRequest } from "./trace.ts";
import { writePromptTokens } from "./trace-tokens.ts";

/** How a trace's tokens are replayed one request after another. */
export interface TokenReplayOptions extends Omit<BlockManagerOptions, "clock"> {
  /** Tokens appended at a time, as an engine computes a long prompt: what windows have left is given back in between. Default 2,048. */
  chunkTokens?: number;
  onProgress?: ReplayProgress;
  observer?: ReplayObserver;
}

/**
 * Replays prompts one after another by their tokens, for layer groups that `replaySequentially` does not know: a prefix is
 * found in whole blocks, as far as every group still has it, and never with its last token. Of a prompt that is larger
 * than the pool the beginning is stored.
 *
 * @throws InvalidOptionError
 */
export function replayTokens(trace: Trace, options: TokenReplayOptions): ReplayReport {
  const { chunkTokens = 2048, onProgress, observer = {}, ...managing } = options;
  checkInteger("chunkTokens", chunkTokens, 1);
  let nowMs = 0;
  const manager = (observer.makePool ?? plainPool)({ ...managing, clock: () => nowMs });
  const { policy, tokensPerBlock } = options;
  const totals = new ReplayTotals({ manager, requests: trace.requests.length, tokensPerBlock, policy, onProgress });
  const nextCheckpoint = checkpointAfter(options.groups);
  const endOfChunk = (from: number): number => Math.min(from + chunkTokens, nextCheckpoint(from));
  let buffer = new Int32Array(1024);
  trace.requests.forEach((request, i) => {
    nowMs = Math.max(nowMs, request.arrivalMs);
    if (buffer.length < request.promptTokens) buffer = new Int32Array(2 * request.promptTokens);
    writePromptTokens(trace, i, buffer);
    const prompt = buffer.subarray(0, request.promptTokens);
    const table = manager.openSequence(prompt, { storeOn: "commit" });
    observer.onBegin?.(i, table);
    appendChunks(table, i, prompt, endOfChunk, totals, observer);
    totals.ended(table);
    count(request, table, manager, totals, nowMs);
    observer.onEnd?.(i, table);
    table.dispose();
    manager.takeWork(); // what an observer has not taken is for nobody
  });
  return totals.report("sequential");
}

function appendChunks(
  table: BlockTable,
  request: number,
  prompt: Int32Array,
  endOfChunk: (from: number) => number,
  totals: ReplayTotals,
  observer: ReplayObserver,
): void {
  try {
    while (table.length < prompt.length) {
      const from = table.length;
      appendPart(table, prompt, from, Math.min(endOfChunk(from), prompt.length));
      observer.onCompute?.(request, table, from, table.length);
      table.commit();
      totals.measurePool();
    }
  } catch (error) {
    if (!(error instanceof OutOfBlocksError)) throw error;
  }
}

function count(
  { promptTokens, outputTokens }: TraceRequest,
  table: BlockTable,
  { tokensPerBlock }: BlockManager,
  totals: ReplayTotals,
  nowMs: number,
): void {
  const requestedBlocks = Math.ceil(promptTokens / tokensPerBlock);
  const { reusedTokens } = table;
  totals.outputTokens += outputTokens;
  totals.held(table.length, table.numBlocks * tokensPerBlock, 1);
  const hitBlocks = Math.floor(reusedTokens / tokensPerBlock);
  totals.found({ promptTokens, requestedBlocks, hitBlocks, reusedTokens }, nowMs);
}
