import { KV_DTYPES, type KvDtype } from "@kv/config";
import { openDevice } from "@kv/device-memory";
import { Option } from "commander";
import { checkJson } from "../check/check-json.ts";
import { checkModel, type ModelCheck } from "../check/check-model.ts";
import { silentObserver, textObserver } from "../check/observers.ts";
import { planCache } from "../check/plan.ts";
import type { AddCommand } from "../command.ts";
import { EXIT, type ExitCode } from "../exit-codes.ts";
import { writeFailure } from "../failure-output.ts";
import { writeJson } from "../json-output.ts";
import { checkedPresetNames, findUniformModel } from "../models/uniform-model.ts";
import { parseCount, parseDeviceName } from "../option-values.ts";
import type { Terminal } from "../terminal.ts";

interface CheckOptions {
  readonly context?: number;
  readonly dtype: KvDtype;
  readonly device: string;
  readonly allLayers?: true;
  readonly json?: true;
}

/** `kv check`: allocates the caches of models and proves that they are what was planned. */
export const addCheck: AddCommand = (program, terminal, finish) => {
  program
    .command("check")
    .summary("allocate a cache and prove that it is what was planned")
    .description(
      "Allocates the cache of each model as planned; proves its size, that every byte is zero, that what is appended " +
        "can be read back, and that nothing is held afterwards.",
    )
    .argument(
      "<model...>",
      `a config.json, a folder with one, a GGUF file, or a preset such as ${checkedPresetNames.join(", ")}`,
    )
    .option("--context <tokens>", "tokens to make room for (default: what the model says)", parseCount)
    .addOption(new Option("--dtype <dtype>", "type of the stored elements").choices(KV_DTYPES).default("fp16"))
    .option("--device <name>", "auto (a GPU if there is one), host or cuda:N", parseDeviceName, "auto")
    .option("--all-layers", "show every layer in the table")
    .option("--json", "print one JSON object instead")
    .action(async (names: string[], options: CheckOptions) => finish(await check(names, options, terminal)));
};

async function check(names: readonly string[], options: CheckOptions, terminal: Terminal): Promise<ExitCode> {
  // All input is looked at before anything is allocated.
  const models = await Promise.all(names.map((name) => findUniformModel(name, options)));
  const plans = models.map(planCache);
  using device = openDevice(options.device);
  const observer = options.json === true ? silentObserver(terminal) : textObserver(device, terminal, options);
  const checks = plans.map((plan) => {
    const checked = checkModel(device, plan, observer);
    observer.ended(checked);
    return checked;
  });
  const exitCode = exitCodeOf(checks);
  if (options.json === true) writeJson(terminal, checkJson(device.properties, checks, exitCode));
  for (const { failure } of checks) if (failure?.exitCode === exitCode) writeFailure(terminal, failure);
  return exitCode;
}

/** A model that does not fit is no failure of the others; when none fits, that is the answer. */
function exitCodeOf(checks: readonly ModelCheck[]): ExitCode {
  if (checks.some(({ outcome }) => outcome === "failed")) return EXIT.checkFailed;
  return checks.some(({ outcome }) => outcome === "passed") ? EXIT.ok : EXIT.outOfMemory;
}
