import { type PlanReport, planReport } from "@kv/config";
import type { AddCommand } from "../command.ts";
import { EXIT, type ExitCode } from "../exit-codes.ts";
import { writeJson } from "../json-output.ts";
import { type FoundModel, findModel, withPath } from "../models/find-model.ts";
import { presetList } from "../models/preset-list.ts";
import { findWeights, type Weights } from "../models/weights.ts";
import { parseDeviceName, parseSize } from "../option-values.ts";
import { type Budget, findBudget } from "../plan/budget.ts";
import { planText } from "../plan/plan-text.ts";
import { addSizeOptions, type SizeFlags, sizeOptionsOf } from "../size/size-options.ts";
import { colorsFor, type Terminal } from "../terminal.ts";

interface PlanFlags extends SizeFlags {
  readonly vram?: string;
  readonly device?: string;
  readonly weights?: string;
  readonly reserve: number;
  readonly exitCode?: true;
  readonly json?: true;
}

/** `kv plan`: whether a model's cache fits a device beside the weights, how far it goes, and what would help. */
export const addPlan: AddCommand = (program, terminal, finish) => {
  const command = program
    .command("plan")
    .summary("whether a cache fits, and how far a budget goes")
    .description(
      "Says whether the cache of a model fits a device beside its weights, how many tokens and sequences do, and which " +
        "changes would help when it does not. Allocates nothing.",
    )
    .argument("<model>", "a config.json, a folder with one, a GGUF file, or a preset")
    .option("--vram <size>", "memory of one device: a size such as 80GiB, or a card such as rtx-4090")
    .option("--device <name>", "what is free on this device now, instead: host, cuda:N or auto", parseDeviceName)
    .option("--weights <size>", "a size such as 16GB, a GGUF file, or a model.safetensors.index.json or its folder")
    .option("--reserve <size>", "keep this much of each device free", parseSize, 0);
  addSizeOptions(command)
    .option("--exit-code", `end with ${EXIT.outOfMemory} when it does not fit`)
    .option("--json", "print one JSON object instead")
    .addHelpText("after", presetList)
    .action(async (name: string, flags: PlanFlags) => finish(await plan(name, flags, terminal)));
};

async function plan(name: string, flags: PlanFlags, terminal: Terminal): Promise<ExitCode> {
  const model = await findModel(name, { nextTokenLayers: flags.mtp === true });
  const weights = await findWeights(flags.weights, model);
  const budget = findBudget(flags);
  const report = reportOf(model, flags, budget, weights);
  const exitCode = flags.exitCode === true && !report.fits ? EXIT.outOfMemory : EXIT.ok;
  if (flags.json === true) {
    const { source, shape } = model;
    const from = { budgetFrom: budget.from, weightsFrom: weights?.from ?? null };
    writeJson(terminal, { command: "plan", exitCode, source, modelType: shape.modelType, ...report, ...from });
  } else {
    terminal.stdout.write(planText(report, budget, weights, colorsFor(terminal.stdout, terminal.env)));
  }
  return exitCode;
}

function reportOf(model: FoundModel, flags: PlanFlags, budget: Budget, weights: Weights | undefined): PlanReport {
  try {
    return planReport(model.shape, {
      ...sizeOptionsOf(model.name, flags),
      budgetBytes: budget.bytes,
      weightsBytes: weights?.bytes ?? 0,
      reserveBytes: flags.reserve,
    });
  } catch (error) {
    throw withPath(model.name, error);
  }
}
