import type { SweepPoint } from "@kv/paging/replay";
import type { ExitCode } from "../exit-codes.ts";
import type { JsonHeader } from "../json-output.ts";
import type { DeviceReplayed } from "./device-replay.ts";
import type { ReplayRequest } from "./replay-request.ts";
import type { Replayed } from "./run-replay.ts";

/** All that a run of `kv replay` found. */
export interface ReplayResult {
  readonly request: ReplayRequest;
  readonly notes: readonly string[];
  readonly replayed: Replayed;
  readonly device: DeviceReplayed | undefined;
  readonly sweep: readonly SweepPoint[];
}

/** The object of `kv replay --json`, as docs/replay.schema.json describes it. */
export function replayJson(result: ReplayResult, exitCode: ExitCode): JsonHeader & Readonly<Record<string, unknown>> {
  const { request, notes, replayed, device, sweep } = result;
  const { report, digest, poolBytes, ms } = replayed;
  const { name, trace, model, dtype, prefillRate, decodeRate, maxSequences } = request;
  const { samples, requestBytes, ...figures } = report;
  return {
    command: "replay",
    schemaVersion: 1,
    exitCode,
    trace: { file: name, format: trace.format, notes },
    ...figures,
    model: model?.name ?? null,
    dtype: model === undefined ? null : dtype,
    poolBytes,
    requestBytes: model === undefined || requestBytes.held === 0 ? null : requestBytes,
    serviceRate:
      request.mode === "timed"
        ? { prefillTokensPerSecond: prefillRate, decodeTokensPerSecond: decodeRate, maxSequences }
        : null,
    decisions: digest,
    ms: Math.round(ms),
    device: device === undefined ? null : deviceJson(device, digest),
    sweep,
    samples,
  };
}

function deviceJson({ report: _, poolBytes: _bytes, digest, ms, ...figures }: DeviceReplayed, pure: string): object {
  return { ...figures, decisions: digest, isSame: digest === pure, ms: Math.round(ms) };
}
