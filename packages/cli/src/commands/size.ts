import { sizeReport } from "@kv/config";
import type { AddCommand } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { writeJson } from "../json-output.ts";
import { findModel, withPath } from "../models/find-model.ts";
import { presetList } from "../models/preset-list.ts";
import { addSizeOptions, type SizeFlags, sizeOptionsOf } from "../size/size-options.ts";
import { sizeText } from "../size/size-text.ts";
import { colorsFor, type Terminal } from "../terminal.ts";

/** `kv size`: how many bytes a model's cache takes, without allocating any. */
export const addSize: AddCommand = (program, terminal, finish) => {
  const command = program
    .command("size")
    .summary("how many bytes a cache takes")
    .description("Says how many bytes the cache of a model takes, by layer, by token and in total. Allocates nothing.")
    .argument("<model>", "a config.json, a folder with one, a GGUF file, or a preset");
  addSizeOptions(command)
    .option("--json", "print one JSON object instead")
    .addHelpText("after", presetList)
    .action(async (name: string, flags: SizeFlags & { json?: true }) => {
      await size(name, flags, terminal);
      finish(EXIT.ok);
    });
};

async function size(name: string, flags: SizeFlags & { json?: true }, terminal: Terminal): Promise<void> {
  const model = await findModel(name, { nextTokenLayers: flags.mtp === true });
  const report = withName(name, () => sizeReport(model.shape, sizeOptionsOf(name, flags)));
  if (flags.json === true) {
    const { modelType } = model.shape;
    writeJson(terminal, { command: "size", exitCode: EXIT.ok, source: model.source, modelType, ...report });
  } else {
    terminal.stdout.write(sizeText(report, colorsFor(terminal.stdout, terminal.env)));
  }
}

function withName<Result>(name: string, make: () => Result): Result {
  try {
    return make();
  } catch (error) {
    throw withPath(name, error);
  }
}
