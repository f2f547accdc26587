import { formatBytes, type PlanReport } from "@kv/config";
import type { Weights } from "../models/weights.ts";
import { assumptionTexts, bytesCells, countOf, headText } from "../size/size-text.ts";
import { formatTable } from "../table.ts";
import type { Colors } from "../terminal.ts";
import { formatCount } from "../units.ts";
import type { Budget } from "./budget.ts";

/** A plan as tables: what goes where on the fullest device, how far the budget goes, and what would help. */
export function planText(report: PlanReport, budget: Budget, weights: Weights | undefined, colors: Colors): string {
  const sections = [
    headText(report, colors),
    memoryText(report, budget, weights),
    verdictText(report, colors),
    limitsText(report),
    suggestionsText(report, colors),
    ...assumptionTexts(report),
  ];
  return `${sections.filter((text) => text !== "").join("\n\n")}\n`;
}

function memoryText(report: PlanReport, budget: Budget, weights: Weights | undefined): string {
  const { budgetBytes, weightsBytes, reserveBytes, largestDeviceBytes, leftBytes, numDevices } = report;
  const rows = [
    ["budget", ...bytesCells(budgetBytes), budget.from ?? ""],
    ["weights", ...bytesCells(weightsBytes), weights === undefined ? "none given: --weights" : (weights.from ?? "")],
    ...(reserveBytes === 0 ? [] : [["reserve", ...bytesCells(reserveBytes), ""]]),
    ["cache", ...bytesCells(largestDeviceBytes), ""],
    [leftBytes < 0 ? "missing" : "left", ...bytesCells(Math.abs(leftBytes)), ""],
  ];
  const title = numDevices === 1 ? "" : `on the fullest of ${numDevices} devices\n`;
  return `${title}${formatTable(rows, ["left", "right", "right", "left"])}`;
}

function verdictText({ fits, leftBytes }: PlanReport, colors: Colors): string {
  if (fits) return colors.green("it fits");
  return colors.red(`it does not fit: ${formatBytes(-leftBytes)} too much`);
}

function limitsText({ maxTokens, maxContext, maxSequences, sequences, tokens, blocks }: PlanReport): string {
  const rows = [
    ["longest single sequence", tokensText(maxTokens)],
    ...(sequences > 1 ? [[`longest for ${formatCount(sequences)} sequences`, tokensText(maxContext)]] : []),
    [`most sequences of ${countOf(tokens, "token")}`, maxSequences === null ? "any number" : formatCount(maxSequences)],
  ];
  if (blocks !== null) {
    rows.push([
      `most blocks of ${countOf(blocks.tokensPerBlock, "token")}`,
      `${formatCount(blocks.maxBlocks)}, of ${formatBytes(blocks.bytesPerBlock)} each`,
    ]);
  }
  return formatTable(rows, ["left", "left"]);
}

function tokensText(tokens: number | null): string {
  return tokens === null ? "any length: this cache does not grow" : countOf(tokens, "token");
}

function suggestionsText({ suggestions }: PlanReport, colors: Colors): string {
  if (suggestions.length === 0) return "";
  const rows = suggestions.map(({ change, from, to, savesBytes, fits }) => [
    `  ${change}`,
    `${from} → ${to}`,
    `saves ${formatBytes(savesBytes)}`,
    fits ? colors.green("fits") : "not enough alone",
  ]);
  return `what would help, per device\n${formatTable(rows, ["left", "left", "left", "left"])}`;
}
