import type { PlanReport } from "@kv/config";
import { element } from "./element.ts";
import { bytes, count, counted } from "./words.ts";

/** How far the card goes, and what the cache takes by the piece. */
export function limitList(report: PlanReport): HTMLElement {
  const { rule, tokens, sequences, maxContext, maxTokens, maxSequences, blocks } = report;
  const limits: [string, string][] = [
    [`Longest context of ${counted(sequences, "sequence")}`, limit(maxContext)],
    ["Longest single sequence", limit(maxTokens)],
    [`Most sequences of ${counted(tokens, "token")}`, limit(maxSequences)],
    ["One more token of one sequence", bytes(report.bytesPerToken)],
    ["One sequence", bytes(report.bytesPerSequence)],
    ["The whole cache", `${bytes(report.totalBytes)}${report.numDevices > 1 ? ` on ${report.numDevices} cards` : ""}`],
  ];
  // vLLM's blocks belong to groups of layers: its own figures count them.
  if (blocks !== null && rule !== "vllm") {
    limits.push([`Most blocks of ${counted(blocks.tokensPerBlock, "token")} on one card`, count(blocks.maxBlocks)]);
  }
  const pairs = limits.map(([term, value]) => element("div", {}, element("dt", {}, term), element("dd", {}, value)));
  return element("dl", { class: "figures" }, ...pairs);
}

function limit(most: number | null): string {
  return most === null ? "no limit" : count(most);
}
