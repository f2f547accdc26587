import { KV_DTYPES, type KvDtype } from "@kv/config";
import { openDevice } from "@kv/device-memory";
import { POLICY_NAMES, type PolicyName, traceNotes } from "@kv/paging/replay";
import { Option } from "commander";
import type { AddCommand } from "../command.ts";
import { EXIT, type ExitCode } from "../exit-codes.ts";
import { writeFailure } from "../failure-output.ts";
import { writeJson } from "../json-output.ts";
import { parseCount, parseDeviceName } from "../option-values.ts";
import { progressOn } from "../progress.ts";
import { runOnDevice } from "../replay/device-replay.ts";
import { readTraceFile } from "../replay/read-trace-file.ts";
import { type ReplayResult, replayJson } from "../replay/replay-json.ts";
import { findReplayModel } from "../replay/replay-model.ts";
import { parseBlocks, parseRate, parseSweep } from "../replay/replay-option-values.ts";
import type { ReplayRequest } from "../replay/replay-request.ts";
import { replayText } from "../replay/replay-text.ts";
import { writeReport } from "../replay/report.ts";
import { runReplay } from "../replay/run-replay.ts";
import { runSweep } from "../replay/run-sweep.ts";
import { colorsFor, type Terminal } from "../terminal.ts";

interface ReplayOptions {
  readonly mode: ReplayRequest["mode"];
  readonly policy: PolicyName;
  readonly blocks: number | "unlimited";
  readonly blockSize?: number;
  readonly model?: string;
  readonly dtype: KvDtype;
  readonly sequences: number;
  readonly checkpoint?: number;
  readonly prefillRate: number;
  readonly decodeRate: number;
  readonly maxSequences: number;
  readonly requests?: number;
  readonly sweep?: readonly number[] | true;
  readonly device?: string;
  readonly sample: number;
  readonly html?: string;
  readonly json?: true;
}

/** Tokens of a block when requests live together, where nothing else is said: what engines use. */
const TIMED_BLOCK = 16;

/** Tokens between kept states, up to a whole block: prompts that begin alike have that much in common. */
const CHECKPOINT = 512;

/** `kv replay`: what a trace of real traffic finds in a cache. */
export const addReplay: AddCommand = (program, terminal, finish) => {
  program
    .command("replay")
    .summary("replay a trace of traffic through the block allocator")
    .description(
      "Replays recorded traffic: how many blocks of its prompts are found in a cache of this size under this policy, how " +
        "full the pool gets, what is evicted. With --device, keys and values are written and read back too.",
    )
    .argument("<trace>", "JSON lines as Mooncake publishes them, or CSV as Azure does; gzip or not")
    .addOption(
      new Option("--mode <mode>", "one request after another, or by time of arrival")
        .choices(["sequential", "timed"])
        .default("sequential"),
    )
    .addOption(new Option("--policy <name>", "what is evicted first").choices(POLICY_NAMES).default(POLICY_NAMES[0]))
    .option("--blocks <count>", "blocks of the pool, or unlimited", parseBlocks, "unlimited")
    .option(
      "--block-size <tokens>",
      "tokens per block (default: the trace's, 512; timed or with windows: 16)",
      parseCount,
    )
    .option("--model <model>", "a preset, config.json or GGUF file: bytes of the pool, and its kinds of layers")
    .addOption(new Option("--dtype <dtype>", "type of the stored elements").choices(KV_DTYPES).default("fp16"))
    .option("--sequences <count>", "sequences that a pool with windows or states is planned for", parseCount, 16)
    .option("--checkpoint <tokens>", "keep states for reuse every so many tokens (default: about 512)", parseCount)
    .option("--prefill-rate <tokens/s>", "timed: prompt tokens computed per second", parseRate, 20_000)
    .option("--decode-rate <tokens/s>", "timed: tokens per second of each answer", parseRate, 33)
    .option("--max-sequences <count>", "timed: most sequences at once", parseCount, 256)
    .option("--requests <count>", "only so many requests from the beginning", parseCount)
    .option(
      "--sweep [sizes]",
      "replay pools of these sizes too, as in 1000,10000; sizes are chosen unless given",
      parseSweep,
    )
    .option("--device <name>", "write and read back in the memory of auto, host or cuda:N", parseDeviceName)
    .option("--sample <n>", "with --device: read back every nth request", parseCount, 100)
    .option("--html <file>", "write a report with charts")
    .option("--json", "print one JSON object instead")
    .action(async (file: string, options: ReplayOptions) => finish(await replay(file, options, terminal)));
};

async function replay(file: string, options: ReplayOptions, terminal: Terminal): Promise<ExitCode> {
  const request = await requestOf(file, options);
  const progress = progressOn(terminal);
  using device = options.device === undefined ? undefined : openDevice(options.device);
  const result: ReplayResult = {
    request,
    notes: traceNotes(request.trace),
    replayed: runReplay(request, progress),
    sweep: runSweep(request, progress),
    device: device && runOnDevice(request, device, options.sample, progress),
  };
  const failure = failureOf(result);
  if (options.html !== undefined) await writeReport(options.html, result);
  if (options.json === true) writeJson(terminal, replayJson(result, failure?.exitCode ?? EXIT.ok));
  else terminal.stdout.write(replayText(result, colorsFor(terminal.stdout, terminal.env)));
  if (failure !== undefined) writeFailure(terminal, failure);
  return failure?.exitCode ?? EXIT.ok;
}

async function requestOf(file: string, options: ReplayOptions): Promise<ReplayRequest> {
  const { model: modelName, blockSize, checkpoint, requests, sweep, ...same } = options;
  const model = modelName === undefined ? undefined : await findReplayModel(modelName);
  const trace = await readTraceFile(file, requests);
  const byIds = options.mode === "sequential" && (model === undefined || model.isUniform);
  const tokensPerBlock = blockSize ?? (byIds ? trace.tokensPerId : TIMED_BLOCK);
  const checkpointTokens = checkpoint ?? Math.ceil(CHECKPOINT / tokensPerBlock) * tokensPerBlock;
  // A report has the curve of hit rate against pool size whether or not it was asked for.
  const sizes = sweep === true || (sweep === undefined && options.html !== undefined) ? "auto" : sweep;
  return { ...same, name: file, trace, model, tokensPerBlock, checkpointTokens, sweep: sizes };
}

function failureOf({ replayed, device }: ReplayResult): Parameters<typeof writeFailure>[1] | undefined {
  if (device === undefined) return undefined;
  const [wrong] = device.wrong;
  const problem =
    wrong !== undefined
      ? `request ${wrong.request}: token ${wrong.index} of layer ${wrong.layer}, in block ${wrong.block}, is not what was written`
      : device.digest === replayed.digest
        ? undefined
        : `the decisions on ${device.device} differ from those without memory: ${device.digest}, ${replayed.digest}`;
  return problem === undefined
    ? undefined
    : { exitCode: EXIT.checkFailed, code: "CHECK_FAILED", message: problem, fields: {} };
}
