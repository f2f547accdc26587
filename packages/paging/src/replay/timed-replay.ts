import { BlockManager, type BlockManagerOptions } from "../block-manager.ts";
import type { BlockTable } from "../block-table.ts";
import { InvalidOptionError, OutOfBlocksError } from "../errors.ts";
import { type ReplayProgress, SampleSeries, type TimedReplayReport } from "./replay-report.ts";
import { TimedTotals } from "./timed-totals.ts";
import type { Trace, TraceRequest } from "./trace.ts";
import { outputToken, writePromptTokens } from "./trace-tokens.ts";

/** How fast the imagined machine is, and the pool that it has. */
export interface TimedReplayOptions extends Omit<BlockManagerOptions, "clock"> {
  /** Prompt tokens computed per second, over all sequences. Default 20,000. */
  prefillTokensPerSecond?: number;
  /** Time of one step, in which every sequence that has its prompt gets one token. Default 30 ms. */
  stepMs?: number;
  /** Most sequences at a time. Default 256. */
  maxSequences?: number;
  onProgress?: ReplayProgress;
  /** Called after each step that changed something, for those who have real memory behind the same manager. */
  onStep?: (manager: BlockManager) => void;
}

/** A request that is being served. */
interface Running {
  readonly request: number;
  readonly table: BlockTable;
  /** Prompt tokens, and tokens of the answer that were lost by preemption and are computed again. */
  readonly prefillTokens: number;
  prefilled: number;
  generated: number;
}

/** A request that waits, perhaps with a part of its answer. */
interface Waiting {
  readonly request: number;
  readonly generated: number;
  /** It was admitted before and is not counted again. */
  readonly wasPreempted: boolean;
}

/**
 * Replays arrivals by their time: sequences live together, prompts are computed in order within the given rate, and when
 * blocks run out the sequence that came last is preempted, to be computed again later.
 */
export function replayTimed(trace: Trace, options: TimedReplayOptions): TimedReplayReport {
  return new TimedReplay(trace, options).run();
}

class TimedReplay {
  readonly #trace: Trace;
  readonly #options: TimedReplayOptions;
  readonly #manager: BlockManager;
  readonly #totals: TimedTotals = new TimedTotals();
  readonly #series: SampleSeries;
  readonly #waiting: Waiting[] = [];
  readonly #stepMs: number;
  readonly #prefillPerStep: number;
  #running: Running[] = [];
  #prompt: Int32Array = new Int32Array(1024);
  /** The first waiting request did not fit, and nothing was given back since. */
  #isBlocked: boolean = false;
  #next = 0;
  #nowMs = 0;

  constructor(trace: Trace, options: TimedReplayOptions) {
    this.#trace = trace;
    this.#options = options;
    this.#stepMs = positive("stepMs", options.stepMs ?? 30);
    const rate = positive("prefillTokensPerSecond", options.prefillTokensPerSecond ?? 20_000);
    this.#prefillPerStep = Math.max(1, Math.floor((rate * this.#stepMs) / 1000));
    this.#manager = new BlockManager({ ...options, clock: () => this.#nowMs });
    this.#series = new SampleSeries(trace.requests.length);
  }

  run(): TimedReplayReport {
    const { requests } = this.#trace;
    while (this.#next < requests.length || this.#waiting.length > 0 || this.#running.length > 0) {
      this.#arrive();
      this.#admit();
      this.#step();
      this.#options.onStep?.(this.#manager);
    }
    return this.#totals.report(this.#manager, this.#series, this.#options.policy, requests.length, this.#nowMs);
  }

  #arrive(): void {
    const { requests } = this.#trace;
    const next = requests[this.#next];
    const isIdle = this.#running.length === 0 && this.#waiting.length === 0;
    if (isIdle && next !== undefined) this.#nowMs = Math.max(this.#nowMs, next.arrivalMs);
    while (this.#next < requests.length && (requests[this.#next] as TraceRequest).arrivalMs <= this.#nowMs) {
      this.#waiting.push({ request: this.#next++, generated: 0, wasPreempted: false });
    }
  }

  #admit(): void {
    const most = this.#options.maxSequences ?? 256;
    while (this.#waiting.length > 0 && this.#running.length < most && !this.#isBlocked) {
      const waiting = this.#waiting[0] as Waiting;
      const running = this.#start(waiting);
      this.#isBlocked = running === undefined && this.#running.length > 0;
      if (this.#isBlocked) return;
      this.#waiting.shift();
      if (running === undefined) this.#totals.rejected++;
      else this.#running.push(running);
    }
  }

  #start({ request, generated, wasPreempted }: Waiting): Running | undefined {
    const tokens = this.#tokensOf(request, generated);
    try {
      const table = this.#manager.createSequence(tokens, { storeOn: "commit" });
      if (!wasPreempted) this.#admitted(request, table);
      return { request, table, prefillTokens: tokens.length, prefilled: table.reusedTokens, generated };
    } catch (error) {
      if (error instanceof OutOfBlocksError) return undefined;
      throw error;
    }
  }

  #admitted(request: number, table: BlockTable): void {
    const { promptTokens } = this.#trace.requests[request] as TraceRequest;
    const size = this.#manager.tokensPerBlock;
    const hit = Math.floor(table.reusedTokens / size);
    const requested = Math.ceil(promptTokens / size);
    this.#totals.admit(promptTokens, requested, hit, table.reusedTokens);
    this.#series.add(this.#totals.admitted, requested, hit, () => {
      this.#options.onProgress?.(this.#totals.admitted, this.#trace.requests.length);
      const { heldBlocks, cachedBlocks, removedBlocks } = this.#manager.counters();
      const occupiedBlocks = heldBlocks + cachedBlocks;
      return { timeMs: this.#nowMs, occupiedBlocks, heldBlocks, evictedBlocks: removedBlocks };
    });
  }

  #tokensOf(request: number, generated: number): Int32Array {
    const { promptTokens } = this.#trace.requests[request] as TraceRequest;
    const length = promptTokens + generated;
    if (this.#prompt.length < length) this.#prompt = new Int32Array(2 * length);
    writePromptTokens(this.#trace, request, this.#prompt);
    for (let t = 0; t < generated; t++) this.#prompt[promptTokens + t] = outputToken(request, t);
    return this.#prompt.subarray(0, length);
  }

  #step(): void {
    let budget = this.#prefillPerStep;
    this.#nowMs += this.#stepMs;
    for (const running of [...this.#running]) {
      if (running.table.isDisposed) continue;
      const computed = Math.min(budget, running.prefillTokens - running.prefilled);
      budget -= computed;
      running.prefilled += computed;
      if (computed > 0) running.table.commit(running.prefilled);
      if (running.prefilled === running.prefillTokens) this.#decode(running);
    }
    this.#running = this.#running.filter(({ table }) => !table.isDisposed);
    this.#totals.measure(
      this.#manager,
      this.#running.map(({ table }) => table),
      this.#stepMs,
    );
  }

  /** One more token of an answer. The last one needs no place: nothing is computed from it. */
  #decode(running: Running): void {
    const { arrivalMs, outputTokens } = this.#trace.requests[running.request] as TraceRequest;
    if (running.generated === 0) this.#totals.firstTokenMs.push(this.#nowMs - arrivalMs);
    running.generated++;
    if (running.generated >= outputTokens) {
      this.#totals.outputTokens += outputTokens;
      running.table.dispose();
      this.#isBlocked = false;
      return;
    }
    while (!this.#append(running)) if (this.#preempt() === running) return;
    running.table.commit();
  }

  #append(running: Running): boolean {
    try {
      running.table.appendToken(outputToken(running.request, running.generated - 1));
      return true;
    } catch (error) {
      if (error instanceof OutOfBlocksError) return false;
      throw error;
    }
  }

  /** Gives up the sequence that came last; if it is alone, the pool is too small for it. */
  #preempt(): Running {
    const alive = this.#running.filter(({ table }) => !table.isDisposed);
    const last = alive[alive.length - 1] as Running;
    last.table.dispose();
    this.#isBlocked = false;
    if (alive.length === 1) this.#totals.rejected++;
    else {
      this.#totals.preemptions++;
      this.#waiting.unshift({ request: last.request, generated: last.generated, wasPreempted: true });
    }
    return last;
  }
}

function positive(option: string, value: number): number {
  if (value > 0 && Number.isFinite(value)) return value;
  throw new InvalidOptionError(option, value, "a positive number");
}
