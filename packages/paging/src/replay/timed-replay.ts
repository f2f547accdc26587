import type { BlockManager, BlockManagerOptions } from "../block-manager.ts";
import type { BlockTable } from "../block-table.ts";
import { checkInteger } from "../check.ts";
import { InvalidOptionError, OutOfBlocksError } from "../errors.ts";
import { appendPart } from "./append-part.ts";
import { checkpointAfter } from "./checkpoint-after.ts";
import { plainPool, type ReplayObserver } from "./replay-pool.ts";
import type { ReplayProgress, TimedReplayReport } from "./replay-report.ts";
import { ReplayTotals } from "./replay-totals.ts";
import { type Running, type Waiting, WaitingQueue } from "./timed-queue.ts";
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
  observer?: ReplayObserver;
}

/**
 * Replays arrivals by their time: sequences live together, prompts are computed in order within the given rate, in parts
 * if need be, and when blocks run out the sequence that came last is preempted, to be computed again when one has ended.
 * A request is looked up when its turn to be computed has come.
 *
 * @throws InvalidOptionError
 */
export function replayTimed(trace: Trace, options: TimedReplayOptions): TimedReplayReport {
  return new TimedReplay(trace, options).run();
}

class TimedReplay {
  readonly #trace: Trace;
  readonly #manager: BlockManager;
  readonly #totals: ReplayTotals;
  readonly #observer: ReplayObserver;
  readonly #waiting: WaitingQueue = new WaitingQueue();
  readonly #stepMs: number;
  readonly #prefillPerStep: number;
  readonly #maxSequences: number;
  readonly #checkpointAfter: (position: number) => number;
  readonly #firstTokenMs: number[] = [];
  #running: Running[] = [];
  /** Blocks ran out: nobody is admitted until one of the running sequences has ended. */
  #isBlocked: boolean = false;
  #next = 0;
  #nowMs = 0;
  #preemptions = 0;
  #rejected = 0;
  #peakSequences = 0;

  constructor(trace: Trace, options: TimedReplayOptions) {
    const { prefillTokensPerSecond = 20_000, stepMs = 30, maxSequences = 256, onProgress, observer, ...pool } = options;
    this.#trace = trace;
    this.#observer = observer ?? {};
    this.#stepMs = positive("stepMs", stepMs);
    const rate = positive("prefillTokensPerSecond", prefillTokensPerSecond);
    this.#prefillPerStep = Math.max(1, Math.floor((rate * stepMs) / 1000));
    this.#maxSequences = checkInteger("maxSequences", maxSequences, 1);
    this.#manager = (this.#observer.makePool ?? plainPool)({ ...pool, clock: () => this.#nowMs });
    this.#checkpointAfter = checkpointAfter(options.groups);
    const { tokensPerBlock, policy } = options;
    const requests = trace.requests.length;
    this.#totals = new ReplayTotals({ manager: this.#manager, requests, tokensPerBlock, policy, onProgress });
  }

  run(): TimedReplayReport {
    const { requests } = this.#trace;
    while (this.#next < requests.length || this.#waiting.length > 0 || this.#running.length > 0) {
      this.#arrive();
      this.#step();
    }
    return {
      ...this.#totals.report("timed"),
      durationMs: this.#nowMs,
      preemptions: this.#preemptions,
      rejected: this.#rejected,
      peakSequences: this.#peakSequences,
      firstTokenMs: distribution(this.#firstTokenMs),
    };
  }

  #arrive(): void {
    const { requests } = this.#trace;
    const next = requests[this.#next];
    const isIdle = this.#running.length === 0 && this.#waiting.length === 0;
    if (isIdle && next !== undefined) this.#nowMs = Math.max(this.#nowMs, next.arrivalMs);
    while (this.#next < requests.length && (requests[this.#next] as TraceRequest).arrivalMs <= this.#nowMs) {
      this.#waiting.add({ request: this.#next++, generated: 0, wasPreempted: false });
    }
  }

  #step(): void {
    this.#nowMs += this.#stepMs;
    const decoding = this.#running.filter(isPrefilled);
    for (const running of decoding) if (!running.table.isDisposed) this.#decode(running);
    this.#prefill();
    this.#running = this.#running.filter(({ table }) => !table.isDisposed);
    this.#measure();
    this.#manager.takeWork(); // what an observer has not taken is for nobody
  }

  /** Computes prompts in the order of their arrival, and admits the next as long as the step has time for it. */
  #prefill(): void {
    let left = this.#prefillPerStep;
    for (let i = 0; left > 0; i++) {
      const running = this.#running[i] ?? this.#admit();
      if (running === undefined) return;
      if (!running.table.isDisposed) left -= this.#prefillSome(running, left);
    }
  }

  #admit(): Running | undefined {
    if (this.#isBlocked || this.#numAlive() >= this.#maxSequences) return undefined;
    for (let waiting = this.#waiting.first; waiting !== undefined; waiting = this.#waiting.first) {
      const running = this.#begin(waiting);
      this.#isBlocked = running === undefined && this.#numAlive() > 0;
      if (this.#isBlocked) return undefined;
      this.#waiting.removeFirst();
      if (running === undefined) {
        this.#rejected++;
        if (!waiting.wasPreempted) this.#count(waiting.request, 0);
        continue;
      }
      this.#running.push(running);
      return running;
    }
    return undefined;
  }

  /** Undefined when there is no room for its states. */
  #begin({ request, generated, wasPreempted }: Waiting): Running | undefined {
    const tokens = this.#tokensOf(request, generated);
    let table: BlockTable;
    try {
      table = this.#manager.openSequence(tokens, { storeOn: "commit" });
    } catch (error) {
      if (!(error instanceof OutOfBlocksError)) throw error;
      return undefined;
    }
    const running = { request, table, tokens, generated };
    this.#observer.onBegin?.(request, table);
    if (!wasPreempted) this.#count(request, table.reusedTokens);
    return running;
  }

  #count(request: number, reusedTokens: number): void {
    const { promptTokens } = this.#trace.requests[request] as TraceRequest;
    const size = this.#manager.tokensPerBlock;
    const hitBlocks = Math.floor(reusedTokens / size);
    const requestedBlocks = Math.ceil(promptTokens / size);
    this.#totals.found({ promptTokens, requestedBlocks, hitBlocks, reusedTokens }, this.#nowMs);
  }

  #tokensOf(request: number, generated: number): Int32Array {
    const { promptTokens } = this.#trace.requests[request] as TraceRequest;
    const tokens = new Int32Array(promptTokens + generated);
    writePromptTokens(this.#trace, request, tokens);
    for (let t = 0; t < generated; t++) tokens[promptTokens + t] = outputToken(request, t);
    return tokens;
  }

  /** Returns how many tokens were computed, at most `most`; the last of a prompt gives the first of the answer. */
  #prefillSome(running: Running, most: number): number {
    const { table, tokens } = running;
    if (isPrefilled(running) && running.generated > 0) return 0;
    const begin = table.length;
    const end = Math.min(begin + most, tokens.length);
    while (table.length < end) {
      const from = table.length;
      const to = Math.min(end, this.#checkpointAfter(from));
      if (!this.#place(running, () => this.#appendPrompt(running, from, to))) return from - begin;
      this.#computed(running, from);
    }
    if (isPrefilled(running)) this.#answer(running);
    return end - begin;
  }

  /** One that is alone cannot wait for others to end: it takes what fits. */
  #appendPrompt({ table, tokens }: Running, from: number, to: number): void {
    if (this.#numAlive() === 1) appendPart(table, tokens, from, to);
    else table.append(tokens.subarray(from, to));
  }

  /** Places the newest token of an answer and computes the next. */
  #decode(running: Running): void {
    const { table, request } = running;
    const from = table.length;
    if (!this.#place(running, () => table.appendToken(outputToken(request, running.generated - 1)))) return;
    this.#computed(running, from);
    this.#answer(running);
  }

  #computed({ request, table }: Running, from: number): void {
    if (table.length > from) this.#observer.onCompute?.(request, table, from, table.length);
    table.commit();
  }

  /** One more token of an answer. The last one needs no place: nothing is computed from it. */
  #answer(running: Running): void {
    const { arrivalMs, outputTokens } = this.#trace.requests[running.request] as TraceRequest;
    if (running.generated === 0) this.#firstTokenMs.push(this.#nowMs - arrivalMs);
    running.generated++;
    if (running.generated < outputTokens) return;
    this.#totals.outputTokens += outputTokens;
    this.#totals.ended(running.table);
    this.#end(running);
  }

  /** Tries until there is room; false when the sequence itself had to go. */
  #place(running: Running, append: () => void): boolean {
    for (;;) {
      try {
        append();
        return true;
      } catch (error) {
        if (!(error instanceof OutOfBlocksError)) throw error;
      }
      if (this.#preempt() === running) return false;
    }
  }

  /** Gives up the sequence that came last; if it is alone, the pool is too small for it. */
  #preempt(): Running {
    const alive = this.#running.filter(({ table }) => !table.isDisposed);
    const last = alive[alive.length - 1] as Running;
    this.#end(last);
    if (alive.length === 1) {
      this.#rejected++;
      return last;
    }
    this.#isBlocked = true;
    this.#preemptions++;
    this.#waiting.add({ request: last.request, generated: last.generated, wasPreempted: true });
    return last;
  }

  #end({ request, table }: Running): void {
    this.#totals.measurePool();
    this.#peakSequences = Math.max(this.#peakSequences, this.#numAlive());
    this.#observer.onEnd?.(request, table);
    table.dispose();
    this.#isBlocked = false;
  }

  #measure(): void {
    const size = this.#manager.tokensPerBlock;
    this.#totals.measurePool();
    this.#peakSequences = Math.max(this.#peakSequences, this.#numAlive());
    for (const { table } of this.#running) {
      this.#totals.held(table.length, table.numBlocks * size, this.#stepMs);
    }
  }

  #numAlive(): number {
    return this.#manager.counters().sequences;
  }
}

/** Every token but the next one of the answer has its place. */
function isPrefilled({ table, tokens }: Running): boolean {
  return table.length >= tokens.length;
}

function positive(option: string, value: number): number {
  if (value > 0 && Number.isFinite(value)) return value;
  throw new InvalidOptionError(option, value, "a positive number");
}

function distribution(values: readonly number[]): { mean: number; p50: number; p99: number } {
  if (values.length === 0) return { mean: 0, p50: 0, p99: 0 };
  const sorted = Float64Array.from(values).sort();
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] as number;
  return { mean: sorted.reduce((sum, value) => sum + value, 0) / sorted.length, p50: at(0.5), p99: at(0.99) };
}
