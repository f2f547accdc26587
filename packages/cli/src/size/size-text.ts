import { formatBytes, type SizeReport } from "@kv/config";
import { formatTable } from "../table.ts";
import type { Colors } from "../terminal.ts";
import { formatCount } from "../units.ts";

/** A size as tables: what each kind of layer takes, the totals, and what the engine would print. */
export function sizeText(report: SizeReport, colors: Colors): string {
  const sections = [headText(report, colors), layersText(report), totalsText(report, colors), figuresText(report)];
  return `${[...sections, ...assumptionTexts(report)].filter((text) => text !== "").join("\n\n")}\n`;
}

/** The model, the rule and what it was asked for. */
export function headText({ model, rule, ruleVersion, dtype, tokens, sequences }: SizeReport, colors: Colors): string {
  const use = `${countOf(sequences, "sequence")} of ${countOf(tokens, "token")}, ${dtype}`;
  return `${colors.bold(colors.cyan(model))}  ${use}\nrule ${rule}: ${ruleVersion}`;
}

function layersText({ layers }: SizeReport): string {
  const rows = layers.map(({ kind, count, bytes }) => [kind, formatCount(count), ...bytesCells(bytes)]);
  return formatTable([["kind", "layers", "bytes", ""], ...rows], ["left", "right", "right", "right"]);
}

function totalsText(report: SizeReport, colors: Colors): string {
  const { bytesPerToken, bytesPerSequence, totalBytes, largestDeviceBytes, numDevices } = report;
  const rows = [
    ["one more token", ...bytesCells(bytesPerToken)],
    ["one sequence", ...bytesCells(bytesPerSequence)],
    [colors.bold("total"), ...bytesCells(totalBytes).map((cell) => colors.bold(cell))],
  ];
  if (numDevices > 1) rows.push([`the fullest of ${numDevices} devices`, ...bytesCells(largestDeviceBytes)]);
  return formatTable(rows, ["left", "right", "right"]);
}

function figuresText({ rule, figures }: SizeReport): string {
  if (figures.length === 0) return "";
  const rows = figures.map(({ name, value }) => [name, value]);
  return `as the log of ${rule} prints it\n${formatTable(rows, ["left", "left"])}`;
}

/** What did not come from the file or the options, as the last section; nothing when there is nothing. */
export function assumptionTexts({ assumptions }: Pick<SizeReport, "assumptions">): string[] {
  return assumptions.length === 0 ? [] : [assumptions.map((assumption) => `assumed: ${assumption}`).join("\n")];
}

/** Bytes as two cells: exactly, and in a unit. Fractions of a byte are shown as they are. */
export function bytesCells(bytes: number): [string, string] {
  return [bytes.toLocaleString("en-US", { maximumFractionDigits: 3 }), formatBytes(bytes)];
}

/** "1 token", "4,096 tokens" */
export function countOf(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? "" : "s"}`;
}
