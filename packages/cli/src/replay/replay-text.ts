import { formatBytes } from "@kv/config";
import type { SweepPoint } from "@kv/paging/replay";
import { formatTable } from "../table.ts";
import type { Colors } from "../terminal.ts";
import { formatCount, formatDuration } from "../units.ts";
import type { DeviceReplayed } from "./device-replay.ts";
import { figureRows, percent } from "./figure-rows.ts";
import type { ReplayResult } from "./replay-json.ts";

/** A replay as tables. */
export function replayText(result: ReplayResult, colors: Colors): string {
  const { replayed, notes, device, sweep } = result;
  const [title = "", ...lines] = headLines(result);
  const rows = figureRows(replayed.report).map((row) =>
    row[0] === "hit" ? row.map((cell) => colors.bold(cell)) : [...row],
  );
  const sections = [
    [colors.bold(colors.cyan(title)), ...lines].join("\n"),
    formatTable(rows, ["left", "right", "left"]),
    ...(sweep.length > 0 ? [sweepText(sweep)] : []),
    ...(device === undefined ? [] : [deviceText(device, replayed.digest, colors)]),
    `decisions ${replayed.digest}\nreplayed in ${formatDuration(replayed.ms)}`,
    ...(notes.length > 0 ? [notes.map((note) => `note: ${note}`).join("\n")] : []),
  ];
  return `${sections.join("\n\n")}\n`;
}

/** The trace, and how it was replayed. */
export function headLines({ request, replayed: { report, poolBytes } }: ReplayResult): string[] {
  const pool = `${formatCount(report.numBlocks)} blocks of ${formatCount(report.tokensPerBlock)} tokens`;
  const memory = poolBytes === null ? "" : `, ${formatBytes(poolBytes)} for ${request.model?.name} (${request.dtype})`;
  const { prefillRate, decodeRate, maxSequences } = request;
  const rates = `prefill ${formatCount(prefillRate)} tokens/s, decode ${formatCount(decodeRate)} tokens/s for each of at most ${formatCount(maxSequences)} sequences`;
  return [
    request.name,
    `${formatCount(report.requests)} requests, ${request.trace.format}`,
    `${report.mode}, policy ${report.policy}, ${pool}${memory}`,
    ...(report.mode === "timed" ? [rates] : []),
  ];
}

function sweepText(sweep: readonly SweepPoint[]): string {
  const rows = sweep.map(({ numBlocks, hitBlocks, hitRate, evictedBlocks }) => [
    formatCount(numBlocks),
    formatCount(hitBlocks),
    percent(hitRate),
    formatCount(evictedBlocks),
  ]);
  return formatTable([["pool, blocks", "hit", "", "evicted"], ...rows], ["right", "right", "right", "right"]);
}

function deviceText(device: DeviceReplayed, pure: string, colors: Colors): string {
  const { allocatedBytes, writtenBytes, readBytes, readRequests, wrong } = device;
  const ok = (isGood: boolean): string => (isGood ? colors.green("ok") : colors.red("FAILED"));
  return formatTable(
    [
      [`device ${device.device}`, formatBytes(allocatedBytes), "allocated"],
      ["written", formatBytes(writtenBytes), `in ${formatDuration(device.ms)}`],
      ["read back", formatBytes(readBytes), `${formatCount(readRequests)} requests  ${ok(wrong.length === 0)}`],
      ["decisions", "", `as without memory  ${ok(device.digest === pure)}`],
    ],
    ["left", "right", "left"],
  );
}
