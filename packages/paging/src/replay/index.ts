export { POLICY_NAMES, type PolicyName } from "../policies/by-name.ts";
export {
  AZURE_COLUMNS,
  AZURE_TOKENS_PER_ID,
  type AzureRow,
  parseAzureRow,
  parseAzureTrace,
  requireAzureColumns,
} from "./azure-trace.ts";
export { MOONCAKE_TOKENS_PER_ID, parseMooncakeRequest, parseMooncakeTrace } from "./mooncake-trace.ts";
export { PromptBlocks } from "./prompt-blocks.ts";
export { isGzip, parseTrace, readTrace, traceFormat } from "./read-trace.ts";
export { type MakePool, plainPool, type ReplayObserver } from "./replay-pool.ts";
export type {
  ReplayProgress,
  ReplayReport,
  ReplaySample,
  ReplayWaste,
  RequestBytes,
  TimedReplayReport,
} from "./replay-report.ts";
export { replaySequentially, type SequentialReplayOptions } from "./sequential-replay.ts";
export { type SweepPoint, sweepPoolSizes, sweepSizes } from "./sweep.ts";
export { replayTimed, type TimedReplayOptions } from "./timed-replay.ts";
export { replayTokens, type TokenReplayOptions } from "./token-replay.ts";
export type { Trace, TraceRequest } from "./trace.ts";
export { TraceFormatError } from "./trace-format-error.ts";
export { traceNotes } from "./trace-notes.ts";
export { outputToken, writePromptTokens } from "./trace-tokens.ts";
