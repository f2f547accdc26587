import { randomBytes } from "node:crypto";
import type { KVCache } from "@kv/cache";
import type { Device } from "@kv/device-memory";
import { type TrackerSnapshot, VramTracker } from "@kv/vram-tracker";
import { EXIT } from "../exit-codes.ts";
import { describeFailure, type Failure } from "../failure.ts";
import type { Progress } from "../progress.ts";
import { type Allocation, allocateCache } from "./allocate.ts";
import { type AppendedTokens, type AppendTimes, appendTokens, tokensToAppend } from "./append-tokens.ts";
import { type LayerResult, layerResults } from "./layers.ts";
import type { Plan } from "./plan.ts";
import { randomBitsFrom } from "./random-bits.ts";
import { readBack, type WrongByte } from "./read-back.ts";
import { type Release, releaseCache } from "./release.ts";
import { type Verdict, verdictsOf } from "./verdicts.ts";
import { verifyZeroes, type ZeroVerification } from "./verify-zeroes.ts";

/** What appending random bits to every layer and reading them back found. */
export interface AppendVerification extends AppendedTokens, AppendTimes {
  /** 32 hexadecimal digits that all bits come from. */
  readonly seed: string;
  /** Empty when every bit is there and the token after the last is still zero. */
  readonly wrong: readonly WrongByte[];
}

/** What the tracker says while the cache is held. */
export interface Usage {
  readonly report: string;
  readonly snapshot: TrackerSnapshot;
}

/** The steps after the plan, in order, and what each gives. */
export interface CheckSteps {
  allocation: Allocation;
  zeroes: ZeroVerification;
  append: AppendVerification;
  layers: readonly LayerResult[];
  usage: Usage;
  release: Release;
}

/** Hears of every step as soon as it is done, and shows how far the long ones are. */
export interface CheckObserver {
  readonly progress: Progress;
  planned(plan: Plan): void;
  done<Name extends keyof CheckSteps>(name: Name, result: CheckSteps[Name], plan: Plan): void;
  ended(check: ModelCheck): void;
}

/** How the check of one model ended. */
export interface ModelCheck {
  readonly plan: Plan;
  readonly outcome: "passed" | "failed" | "out_of_memory";
  readonly verdicts: readonly Verdict[];
  /** What was done: all of it, unless memory was short. */
  readonly steps: Readonly<Partial<CheckSteps>>;
  /** What went wrong, unless all passed. */
  readonly failure: Failure | undefined;
}

type Done = <Name extends keyof CheckSteps>(name: Name, result: CheckSteps[Name]) => void;

/**
 * Allocates what was planned and proves it. Too little memory is an outcome, with nothing held; every other failure is
 * thrown, with nothing held either.
 */
export function checkModel(device: Device, plan: Plan, observer: CheckObserver): ModelCheck {
  const steps: Partial<CheckSteps> = {};
  observer.planned(plan);
  try {
    runSteps(device, plan, observer.progress, (name, result) => {
      steps[name] = result;
      observer.done(name, result, plan);
    });
  } catch (error) {
    const failure = describeFailure(error);
    if (failure.exitCode !== EXIT.outOfMemory) throw error;
    return { plan, outcome: "out_of_memory", verdicts: verdictsOf(plan, steps), steps, failure };
  } finally {
    observer.progress.stop();
  }
  const verdicts = verdictsOf(plan, steps);
  const failure = failureOf(plan, verdicts);
  return { plan, outcome: failure === undefined ? "passed" : "failed", verdicts, steps, failure };
}

function failureOf({ model }: Plan, verdicts: readonly Verdict[]): Failure | undefined {
  const failed = verdicts.filter(({ passed }) => !passed).map(({ check }) => check);
  if (failed.length === 0) return undefined;
  const message = `${model.name}: ${failed.join(", ")} failed; do not trust this device's memory`;
  return { exitCode: EXIT.checkFailed, code: "CHECK_FAILED", message, fields: {} };
}

function runSteps(device: Device, plan: Plan, progress: Progress, done: Done): void {
  const tracker = new VramTracker();
  progress.start("allocating and zeroing", 1);
  const { cache, allocation } = allocateCache(device, plan.model.config, tracker);
  using _held = cache; // releaseCache gives it back; this does when a step before that throws
  progress.stop();
  done("allocation", allocation);
  const zeroes = stepVerifyZeroes(cache, progress);
  done("zeroes", zeroes);
  const append = stepAppend(cache, tracker, progress);
  done("append", append);
  done("layers", layerResults(cache, zeroes.nonZero, append.wrong));
  done("usage", { report: tracker.usageReport(), snapshot: tracker.snapshot() });
  done("release", releaseCache(cache, tracker, allocation.driver.baselineBytes));
}

function stepVerifyZeroes(cache: KVCache, progress: Progress): ZeroVerification {
  progress.start("reading every byte", cache.sizeBytes);
  const zeroes = verifyZeroes(cache, (verifiedBytes) => progress.update(verifiedBytes));
  progress.stop();
  return zeroes;
}

function stepAppend(cache: KVCache, tracker: VramTracker, progress: Progress): AppendVerification {
  const seed = randomBytes(16);
  const bitsOf = randomBitsFrom(seed);
  const tokens = tokensToAppend(cache.config.maxContextLength);
  progress.start("appending and reading back", cache.config.numLayers);
  const times = appendTokens(cache, tracker, tokens, bitsOf);
  const wrong = readBack(cache, bitsOf, (numLayers) => progress.update(numLayers));
  progress.stop();
  return { ...tokens, ...times, seed: seed.toString("hex"), wrong };
}
