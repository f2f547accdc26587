import { Command, CommanderError } from "commander";
import packageJson from "../package.json" with { type: "json" };
import type { AddCommand } from "./command.ts";
import { addCheck } from "./commands/check.ts";
import { addDevices } from "./commands/devices.ts";
import { addPlan } from "./commands/plan.ts";
import { addReplay } from "./commands/replay.ts";
import { addSize } from "./commands/size.ts";
import { EXIT, EXIT_MEANINGS, type ExitCode } from "./exit-codes.ts";
import { describeFailure, type Failure } from "./failure.ts";
import { writeFailure } from "./failure-output.ts";
import { writeJson } from "./json-output.ts";
import type { Terminal } from "./terminal.ts";

const COMMANDS: readonly AddCommand[] = [addSize, addPlan, addDevices, addCheck, addReplay];

/** Runs `kv` with these arguments and gives its exit status; errors end up on stderr as one line. Never throws. */
export async function run(args: readonly string[], terminal: Terminal): Promise<ExitCode> {
  let exitCode: ExitCode = EXIT.ok;
  const program = makeProgram(terminal, (code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync(args, { from: "user" });
    return exitCode;
  } catch (error) {
    // Help and version are thrown too; what they had to say is printed already.
    if (error instanceof CommanderError && error.exitCode === 0) return EXIT.ok;
    if (error instanceof CommanderError && error.code === "commander.help") return EXIT.badInput;
    return tell(error, args, terminal);
  }
}

function makeProgram(terminal: Terminal, finish: (code: ExitCode) => void): Command {
  const program = new Command("kv")
    .description("Sizes, plans and checks key/value caches of large language models, and replays traffic through them.")
    .version(packageJson.version)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.stdout.write(text),
      writeErr: (text) => terminal.stderr.write(text),
      outputError: () => {}, // told by `tell`, as every other error
    })
    .addHelpText("after", `\n${helpFooter()}`);
  for (const add of COMMANDS) add(program, terminal, finish);
  return program;
}

function helpFooter(): string {
  const codes = Object.entries(EXIT_MEANINGS).map(([code, meaning]) => `  ${code.padStart(2)}  ${meaning}`);
  return ["Exit codes:", ...codes, "", "KV_DEBUG=1 shows the stack of an error; NO_COLOR=1 turns colours off."].join(
    "\n",
  );
}

function tell(error: unknown, args: readonly string[], terminal: Terminal): ExitCode {
  const failure = describeFailure(error);
  writeFailure(terminal, failure);
  if (terminal.env["KV_DEBUG"] === "1" && error instanceof Error) terminal.stderr.write(`${error.stack}\n`);
  if (args.includes("--json")) writeJson(terminal, failureJson(failure, args));
  return failure.exitCode;
}

function failureJson({ exitCode, code, message, fields }: Failure, args: readonly string[]) {
  return { command: args[0] ?? "", schemaVersion: 1, exitCode, error: { code, message, ...fields } };
}
