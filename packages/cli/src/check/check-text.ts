import { formatBytes } from "@kv/config";
import { formatTable } from "../table.ts";
import type { Colors } from "../terminal.ts";
import { formatCount, formatDuration, formatRate } from "../units.ts";
import type { Allocation } from "./allocate.ts";
import type { AppendVerification, CheckSteps, ModelCheck } from "./check-model.ts";
import { layerTable } from "./layer-table.ts";
import type { Plan } from "./plan.ts";
import type { Release } from "./release.ts";
import type { Verdict } from "./verdicts.ts";
import type { ZeroVerification } from "./verify-zeroes.ts";

/** How the results of a check are written for people. */
export interface TextStyle {
  readonly colors: Colors;
  /** Who counts the memory in use. */
  readonly system: "driver" | "operating system";
  /** Every layer has its row; otherwise those between the first and the last are left out. */
  readonly allLayers: boolean;
}

/** The plan, with the formula and its numbers. */
export function planText(
  { model, rule, formula, totalBytes, layerStrideBytes, bytesPerToken }: Plan,
  { colors }: TextStyle,
): string {
  const lines = [
    `${formula} = ${colors.bold(formatBytes(totalBytes, { exact: true }))}`,
    `${formatBytes(layerStrideBytes, { exact: true })} per layer, ${formatBytes(bytesPerToken, { exact: true })} per token`,
    ...model.assumptions.map((assumption) => `assumed: ${assumption}`),
  ];
  return section(`${colors.bold(colors.cyan(model.name))}  plan, rule ${rule}`, lines);
}

/** One step's result as a section. */
export function stepText<Name extends keyof CheckSteps>(
  plan: Plan,
  name: Name,
  result: CheckSteps[Name],
  style: TextStyle,
): string {
  return STEP_TEXTS[name](result, plan, style);
}

const STEP_TEXTS: {
  readonly [Name in keyof CheckSteps]: (result: CheckSteps[Name], plan: Plan, style: TextStyle) => string;
} = {
  allocation: allocationText,
  zeroes: zeroesText,
  append: appendText,
  layers: (layers, _plan, style) => section(style.colors.bold("layers"), layerTable(layers, style).split("\n")),
  usage: ({ report }, _plan, { colors }) => section(colors.bold("usage report"), report.split("\n")),
  release: releaseText,
};

function allocationText(allocation: Allocation, plan: Plan, { colors, system }: TextStyle): string {
  const { allocatedBytes, trackedBytes, driver, isResident, ms, bytesPerSecond } = allocation;
  const row = (label: string, bytes: number, note: string): string[] => [label, `${formatCount(bytes)} bytes`, note];
  const agrees = (bytes: number): string => mark(bytes === plan.totalBytes, colors);
  const rows = [
    row("planned", plan.totalBytes, ""),
    row("allocated", allocatedBytes, agrees(allocatedBytes)),
    row("tracked", trackedBytes, agrees(trackedBytes)),
    row(system, driver.differenceBytes, "more in use than before, counted for all processes"),
    row("unaccounted", driver.unaccountedBytes, `${system} less tracked`),
  ];
  return section(colors.bold("memory"), [
    ...formatTable(rows, ["left", "right", "left"]).split("\n"),
    `resident on the device: ${isResident ? "yes" : colors.yellow("no")}`,
    `allocated and zeroed in ${formatDuration(ms)}, ${formatRate(bytesPerSecond)}`,
  ]);
}

function zeroesText(
  { verifiedBytes, nonZero, ms, bytesPerSecond }: ZeroVerification,
  _plan: Plan,
  { colors }: TextStyle,
) {
  const wrong = nonZero.map(
    ({ layer, tensor, offsetBytes, value }) =>
      `layer ${layer}: byte ${offsetBytes} of the ${tensor} is ${value}, the first that is not zero`,
  );
  return section(`${colors.bold("zeroes")}  ${mark(nonZero.length === 0, colors)}`, [
    `${formatCount(verifiedBytes)} bytes read and compared in ${formatDuration(ms)}, ${formatRate(bytesPerSecond)}`,
    ...wrong,
  ]);
}

function appendText(append: AppendVerification, _plan: Plan, { colors }: TextStyle): string {
  const { promptTokens, decodeTokens, promptMs, decodeMsPerToken, wrong, seed } = append;
  const prompt = `a prompt of ${countOf(promptTokens)} in all layers: ${formatDuration(promptMs)}`;
  const decode = `${countOf(decodeTokens)} more, one by one: ${formatDuration(decodeMsPerToken)} each`;
  const differences = wrong.map(
    ({ layer, tensor, token, offsetBytes, wanted, found }) =>
      `layer ${layer}: byte ${offsetBytes} of token ${token} of the ${tensor} is ${found}, appended was ${wanted}`,
  );
  return section(`${colors.bold("append and read back")}  ${mark(wrong.length === 0, colors)}`, [
    decodeTokens === 0 ? prompt : `${prompt}; ${decode}`,
    ...differences,
    ...(wrong.length === 0 ? [] : [`the bits come from the seed ${seed}`]),
  ]);
}

function countOf(numTokens: number): string {
  return `${numTokens} ${numTokens === 1 ? "token" : "tokens"}`;
}

function releaseText(
  { heldBytes, heldAllocations, leakReport, driver }: Release,
  _plan: Plan,
  { colors, system }: TextStyle,
) {
  return section(`${colors.bold("released")}  ${mark(heldBytes === 0 && heldAllocations === 0, colors)}`, [
    ...leakReport.split("\n"),
    `${system}: ${formatCount(driver.differenceBytes)} bytes more in use than before`,
  ]);
}

/** The last line of a model. */
export function outcomeText({ plan, outcome, verdicts, failure }: ModelCheck, { colors }: TextStyle): string {
  const results = {
    passed: colors.green(`passed, ${verdicts.length} checks`),
    failed: colors.red(`FAILED: ${namesOf(verdicts.filter(({ passed }) => !passed))}`),
    out_of_memory: `${colors.yellow("skipped")}, ${failure?.code}: ${failure?.message}`,
  };
  return `${colors.bold(plan.model.name)}: ${results[outcome]}\n\n`;
}

function namesOf(verdicts: readonly Verdict[]): string {
  return verdicts.map(({ check }) => check).join(", ");
}

function mark(passed: boolean, colors: Colors): string {
  return passed ? colors.green("ok") : colors.red("FAILED");
}

function section(title: string, lines: readonly string[]): string {
  return `${title}\n${lines.map((line) => `  ${line}`.trimEnd()).join("\n")}\n\n`;
}
