import type { PlanReport } from "@kv/config";
import { freeBytes } from "../plan/memory-parts.ts";
import { bytes, counted } from "./words.ts";

/** Whether the plan fits, in a few words. */
export function verdictTitle(report: PlanReport): string {
  const free = freeBytes(report);
  return free >= 0 ? `Fits, ${bytes(free)} left` : `Does not fit, ${bytes(-free)} too much`;
}

/** What the verdict is made of, as a sentence. */
export function verdictSentence(report: PlanReport): string {
  const { weightsBytes, largestDeviceBytes, budgetBytes, reserveBytes, numDevices, tokens, sequences } = report;
  const where = numDevices === 1 ? "One card" : `The fullest of ${counted(numDevices, "card")}`;
  const parts = [
    weightsBytes > 0 ? `${bytes(weightsBytes)} of weights` : "no weights",
    `${bytes(largestDeviceBytes)} of cache for ${counted(sequences, "sequence")} of ${counted(tokens, "token")}`,
    ...(reserveBytes > 0 ? [`${bytes(reserveBytes)} kept free`] : []),
  ];
  return `${where} of ${bytes(budgetBytes)}: ${parts.join(", ")}.`;
}
