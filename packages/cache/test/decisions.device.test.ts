// The same decisions everywhere: a workload of fixed pseudo-random steps gives one digest of every decision, whatever the
// device, and what it wrote is read back.

import { createHash } from "node:crypto";
import { type Device, openDevice } from "@kv/device-memory";
import { POLICY_NAMES, type PolicyName } from "@kv/paging";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { type Batch, PagedKVCache } from "../src/index.ts";
import { expectContents, type ModelSequence, PagedModel, writeBatch } from "./paged-model.ts";

const CONFIG = {
  numLayers: 4,
  numKvHeads: 1,
  headDim: 8,
  numBlocks: 90,
  tokensPerBlock: 4,
  layerGroups: [
    { name: "full", kind: "full", layers: [0, 2] },
    { name: "window", kind: "sliding", layers: [1, 3], windowTokens: 10 },
  ],
} as const;
const NUM_STEPS = 300;
/** First 16 hexadecimal digits of what each policy decides; a change of any decision changes them. */
const DIGESTS: Readonly<Record<PolicyName, string>> = {
  "reuse-rate": "dcfca3a5ccdc1603",
  lru: "4d07d989f5c39cfc",
  lfu: "e8e3c2f424450bd7",
  fifo: "5c6fbb9edfcb771e",
  slru: "d5c8b050ed620616",
  // Without retention ranges all blocks have one priority, and the least recently used goes first.
  priority: "4d07d989f5c39cfc",
};
const missing = inject("deviceMissing");

/** xorshift32 */
function generator(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
}

describe.skipIf(missing !== "")(`decisions on ${inject("device")} ${missing}`, () => {
  let device: Device;
  beforeAll(() => {
    device = openDevice(inject("device"));
  });
  afterAll(() => device.dispose());

  test.each(POLICY_NAMES)("%s: every block that is taken, shared, stored and evicted is the same", (policy) => {
    let nowMs = 0;
    using cache = PagedKVCache.allocate(device, CONFIG, {
      policy,
      scrub: "between-namespaces",
      clock: () => nowMs++,
    });
    using batch = cache.createBatch({ maxSequences: 4, maxTokens: 512, maxBlocksPerSequence: 32 });
    const run = new Workload(cache, batch, device);
    for (let i = 0; i < NUM_STEPS; i++) {
      run.step();
      if (i % 30 === 29) expectContents(cache, run.model, run.live);
    }
    cache.blocks.checkInvariants();
    expect(run.reusedTokens).toBeGreaterThan(NUM_STEPS / 2);
    expect(run.digest()).toBe(DIGESTS[policy]);
  });
});

class Workload {
  readonly model: PagedModel = new PagedModel();
  readonly live: ModelSequence[] = [];
  reusedTokens = 0;
  readonly #cache: PagedKVCache;
  readonly #batch: Batch;
  readonly #device: Device;
  readonly #random = generator(20_26);
  readonly #hash = createHash("sha256");

  constructor(cache: PagedKVCache, batch: Batch, device: Device) {
    this.#cache = cache;
    this.#batch = batch;
    this.#device = device;
    cache.blocks.events.subscribe((event) => {
      const blocks = event.type === "cleared" ? event.blocks : [event.block];
      this.#note(event.sequence, event.type, ...blocks);
    });
  }

  step(): void {
    const random = this.#random;
    const each = this.live[random(4)];
    try {
      this.#act(random(8), each, 1 + random(12));
    } catch (error) {
      const { code } = error as { code?: string };
      if (code !== "OUT_OF_BLOCKS" && code !== "LOST_BLOCKS") throw error;
      this.#note(code);
    }
    writeBatch(this.#device, this.#cache, this.#batch, this.model, this.live);
    for (const { sequence } of this.live) this.#note(...sequence.blockTable(0), "|", ...sequence.blockTable(1));
  }

  digest(): string {
    return this.#hash.digest("hex").slice(0, 16);
  }

  #act(action: number, each: ModelSequence | undefined, amount: number): void {
    if (each === undefined || (action < 3 && this.live.length < 4)) {
      if (this.live.length < 4) this.#create(amount);
    } else if (action < 5) {
      if (each.tokens.length + amount > 100) return;
      const tokens = Array.from({ length: amount }, () => this.#random(3));
      each.sequence.append(tokens);
      each.tokens.push(...tokens);
    } else if (action === 5 && this.live.length < 4) {
      this.live.push({ ...each, sequence: each.sequence.fork(), tokens: [...each.tokens] });
    } else if (action === 6) {
      const length = Math.max(0, each.tokens.length - amount);
      each.sequence.truncate(length);
      each.tokens.length = length;
    } else {
      each.sequence.dispose();
      this.live.splice(this.live.indexOf(each), 1);
    }
  }

  #create(amount: number): void {
    // Few different prompts of many lengths, so that prefixes are found again.
    const first = this.#random(6);
    const tokens = Array.from({ length: 4 * amount + this.#random(5) }, (_, i) => (first * 7 + i) % 50);
    const namespace = first < 4 ? "a" : "b";
    const sequence = this.#cache.createSequence(tokens, { namespace });
    this.reusedTokens += sequence.reusedTokens;
    this.live.push({ sequence, namespace, tokens });
  }

  #note(...words: readonly (string | number)[]): void {
    this.#hash.update(`${words.join(" ")}\n`);
  }
}
