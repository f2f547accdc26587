import { expect } from "vitest";
import {
  BlockManager,
  type BlockManagerOptions,
  type BlockTable,
  OutOfBlocksError,
  PinLimitError,
} from "../src/index.ts";
import { DeviceModel } from "./device-model.ts";
import { type ModelSequence, NaiveModel } from "./model.ts";

/** One random operation: numbers that are reduced to what is possible when it is done. */
export interface Step {
  kind: "create" | "append" | "appendToken" | "fork" | "truncate" | "free" | "pin" | "unpin" | "clear";
  pick: number;
  length: number;
  seed: number;
}

const NAMESPACES = ["a", "b", "c"];
const NUM_PREFIXES = 3;

/** Drives a manager and the naive model side by side, and compares after every step. */
export class SideBySide {
  readonly manager: BlockManager;
  readonly model: NaiveModel;
  readonly device: DeviceModel;
  readonly tables: Map<ModelSequence, BlockTable> = new Map();
  readonly #pins: { dispose(): void }[] = [];
  reusedTokens = 0;

  constructor(options: BlockManagerOptions, remembersPrefixes = true) {
    this.manager = new BlockManager(options);
    this.model = new NaiveModel(options.tokensPerBlock, remembersPrefixes);
    this.device = new DeviceModel(options.numBlocks, options.tokensPerBlock);
  }

  /** Does a step; one that is refused must leave everything as it was. */
  run(step: Step): void {
    const before = this.#state();
    if (!this.tryStep(step)) expect(this.#state()).toEqual(before);
  }

  /** Does a step, and says whether it was possible. */
  tryStep(step: Step): boolean {
    try {
      this.#do(step);
      return true;
    } catch (error) {
      if (!(error instanceof OutOfBlocksError || error instanceof PinLimitError)) throw error;
      return false;
    }
  }

  /** Everything a sequence reads is its own. */
  compareContents(): void {
    for (const [sequence, table] of this.tables) expect(this.device.read(table)).toEqual(sequence.tokens);
  }

  freeAll(): void {
    for (const sequence of [...this.model.sequences]) this.#free(sequence);
    for (const pin of this.#pins.splice(0)) pin.dispose();
  }

  #do({ kind, pick, length, seed }: Step): void {
    const sequence = this.model.sequences[pick % Math.max(1, this.model.sequences.length)];
    if (kind === "create" || sequence === undefined) this.#create(pick, tokensOf(seed, length));
    else if (kind === "append") this.#append(sequence, tokensOf(seed, length % 20));
    else if (kind === "appendToken") this.#appendToken(sequence, seed % 3);
    else if (kind === "fork") this.#fork(sequence, length % (sequence.tokens.length + 1));
    else if (kind === "truncate") this.#truncate(sequence, length % (sequence.tokens.length + 1));
    else if (kind === "free") this.#free(sequence);
    else if (kind === "pin") this.#pin(sequence);
    else if (kind === "unpin") this.#pins.splice(pick % Math.max(1, this.#pins.length), 1)[0]?.dispose();
    else this.manager.clear(NAMESPACES[pick % NAMESPACES.length]);
  }

  #create(pick: number, tokens: number[]): void {
    const namespace = NAMESPACES[pick % NAMESPACES.length] as string;
    const intoBlocks = pick % 2 === 0;
    const most = this.model.longestStored(namespace, tokens, Math.max(0, tokens.length - 1));
    const table = this.manager.createSequence(tokens, { namespace, intoBlocks });
    const whole = table.reusedTokens - (table.reusedTokens % this.manager.tokensPerBlock);
    if (this.model.remembersPrefixes) expect(whole).toBeLessThanOrEqual(most);
    this.reusedTokens += table.reusedTokens;
    this.device.work(this.manager.takeWork());
    this.device.write(table, tokens, table.reusedTokens);
    this.tables.set(this.model.create(namespace, tokens), table);
  }

  #append(sequence: ModelSequence, tokens: number[]): void {
    const table = this.tables.get(sequence) as BlockTable;
    const from = sequence.tokens.length;
    table.append(tokens);
    this.model.append(sequence, tokens);
    this.device.work(this.manager.takeWork());
    this.device.write(table, sequence.tokens, from);
  }

  #appendToken(sequence: ModelSequence, token: number): void {
    const table = this.tables.get(sequence) as BlockTable;
    table.appendToken(token);
    this.model.append(sequence, [token]);
    this.device.work(this.manager.takeWork());
    this.device.write(table, sequence.tokens, sequence.tokens.length - 1);
  }

  #fork(sequence: ModelSequence, position: number): void {
    const fork = (this.tables.get(sequence) as BlockTable).fork(position);
    this.tables.set(this.model.fork(sequence, position), fork);
  }

  #truncate(sequence: ModelSequence, length: number): void {
    (this.tables.get(sequence) as BlockTable).truncate(length);
    sequence.tokens.length = length;
  }

  #free(sequence: ModelSequence): void {
    this.tables.get(sequence)?.dispose();
    this.tables.delete(sequence);
    this.model.free(sequence);
  }

  #pin(sequence: ModelSequence): void {
    if (this.#pins.length < 3) {
      this.#pins.push(this.manager.pin(sequence.tokens, { namespace: sequence.namespace }));
    }
  }

  #state(): unknown {
    const { lifetime: _, idle: __, ...counters } = this.manager.counters();
    return {
      counters,
      usage: this.manager.usage(),
      events: this.manager.events.snapshot(),
      tables: [...this.tables.values()].map((table) => [table.blocks(), table.length, table.storedTokens]),
    };
  }
}

/** Tokens from a small alphabet after one of few beginnings, so that prefixes are shared often. */
export function tokensOf(seed: number, length: number): number[] {
  const prefix = seed % NUM_PREFIXES;
  return Array.from({ length }, (_, i) => (i < length / 2 ? (prefix * 7 + i) % 5 : (seed >> (i % 13)) & 1));
}
