import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  BlockManager,
  type BlockTable,
  type LayerGroupSpec,
  LostBlocksError,
  OutOfBlocksError,
  type SizeClassSpec,
} from "../src/index.ts";
import { DeviceModel, EMPTY, stateOf } from "./device-model.ts";
import { tokensOf } from "./random-steps.ts";

const SIZE = 4;

const MODELS: Record<string, LayerGroupSpec[]> = {
  "full and sliding": [
    { name: "full", kind: "full" },
    { name: "sliding", kind: "sliding", windowTokens: 9 },
  ],
  "latent and chunked": [
    { name: "latent", kind: "latent" },
    { name: "chunked", kind: "chunked", chunkTokens: 8 },
  ],
  "sliding alone": [{ name: "sliding", kind: "sliding", windowTokens: 6 }],
  "full and state": [
    { name: "full", kind: "full" },
    { name: "state", kind: "state", checkpointTokens: 8 },
  ],
  "two full groups of unequal blocks": [
    { name: "wide", kind: "full" },
    { name: "narrow", kind: "latent", sizeClass: 1 },
    { name: "sliding", kind: "sliding", windowTokens: 7, sizeClass: 1 },
  ],
  "full, sliding and state, each with blocks of its own": [
    { name: "full", kind: "full" },
    { name: "sliding", kind: "sliding", windowTokens: 9, sizeClass: 1 },
    { name: "state", kind: "state", checkpointTokens: 4, sizeClass: 2 },
  ],
  "full, two blocks per span": [
    { name: "full", kind: "full", blocksPerSpan: 2 },
    { name: "sliding", kind: "sliding", windowTokens: 5 },
  ],
};

/** 40 blocks in all, of as many sizes as the groups name. */
function sizesOf(groups: readonly LayerGroupSpec[]): { numBlocks: number; moreSizes: SizeClassSpec[] } {
  const numSizes = Math.max(...groups.map(({ sizeClass = 0 }) => sizeClass)) + 1;
  const moreSizes = [{ numBlocks: 20 }, { numBlocks: 6 }].slice(0, numSizes - 1);
  return { numBlocks: moreSizes.reduce((left, { numBlocks }) => left - numBlocks, 40), moreSizes };
}

/** First position that the next token reads, by the definition of each kind. */
function firstRead(group: LayerGroupSpec, length: number): number {
  if (group.kind === "sliding") return Math.max(0, length - group.windowTokens + 1);
  if (group.kind === "chunked") return length - (length % group.chunkTokens);
  return 0;
}

class Driver {
  readonly manager: BlockManager;
  readonly device: DeviceModel;
  readonly live: { table: BlockTable; tokens: number[] }[] = [];
  readonly #stateGroup: number;

  constructor(readonly groups: LayerGroupSpec[]) {
    const pool = { ...sizesOf(groups), tokensPerBlock: SIZE, groups };
    this.manager = new BlockManager({ ...pool, policy: "lru", clock: () => 0 });
    this.device = new DeviceModel(40, SIZE);
    this.#stateGroup = groups.findIndex(({ kind }) => kind === "state");
  }

  add(table: BlockTable, tokens: number[], from: number): void {
    this.live.push({ table, tokens });
    this.write(table, tokens, from);
  }

  write(table: BlockTable, tokens: number[], from: number): void {
    const operations = this.manager.takeWork();
    const block = this.#stateGroup < 0 ? -1 : (table.blocks(this.#stateGroup)[0] as number);
    this.device.work(operations, { group: this.#stateGroup, block, tokens });
    this.groups.forEach((group, g) => {
      if (group.kind === "state") this.device.writeState(table, tokens, g);
      else this.device.write(table, tokens, from, g);
    });
  }

  step(kind: string, pick: number, length: number, seed: number): void {
    const picked = this.live[pick % Math.max(1, this.live.length)];
    if (kind === "create" || picked === undefined) {
      const tokens = tokensOf(seed, length);
      const table = this.manager.createSequence(tokens, { intoBlocks: pick % 2 === 0 });
      this.add(table, tokens, table.reusedTokens);
    } else if (kind === "append") {
      const more = tokensOf(seed, length % 6);
      picked.table.append(more);
      picked.tokens.push(...more);
      this.write(picked.table, picked.tokens, picked.tokens.length - more.length);
    } else if (kind === "fork") {
      const position = picked.tokens.length - (length % (picked.tokens.length + 1)) * (pick % 2);
      const fork = picked.table.fork(position);
      this.add(fork, picked.tokens.slice(0, position), position);
    } else if (kind === "truncate") {
      const to = Math.max(0, picked.tokens.length - (length % 12));
      picked.table.truncate(to);
      picked.tokens.length = to;
      this.write(picked.table, picked.tokens, to);
    } else {
      picked.table.dispose();
      this.live.splice(this.live.indexOf(picked), 1);
    }
  }

  check(): void {
    this.manager.checkInvariants();
    for (const { table, tokens } of this.live) {
      for (const [g, group] of this.groups.entries()) this.#checkGroup(table, tokens, group, g);
    }
  }

  #checkGroup(table: BlockTable, tokens: number[], group: LayerGroupSpec, g: number): void {
    if (group.kind === "state") {
      expect(this.device.readState(table, g)).toBe(stateOf(tokens));
      return;
    }
    const from = firstRead(group, tokens.length);
    const found = this.device.read(table, g);
    expect(found.slice(from)).toEqual(tokens.slice(from));
    for (const [position, token] of found.entries()) expect([EMPTY, tokens[position]]).toContain(token);
  }
}

const step = fc.tuple(
  fc.constantFrom("create", "create", "append", "append", "append", "fork", "truncate", "free", "free"),
  fc.nat(100),
  fc.nat(40),
  fc.nat(100_000),
);

describe.each(Object.entries(MODELS))("%s", (_, groups) => {
  test("random operations: what the next token reads is there, and the accounts hold", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80, size: "max" }), (steps) => {
        const driver = new Driver(groups);
        for (const each of steps) {
          try {
            driver.step(...each);
          } catch (error) {
            if (!(error instanceof OutOfBlocksError || error instanceof LostBlocksError)) throw error;
          }
          driver.check();
        }
        for (const { table } of driver.live.splice(0)) table.dispose();
        driver.manager.clear();
        driver.manager.checkInvariants();
        expect(driver.manager.counters().freeBlocks).toBe(40);
      }),
      { numRuns: 60 },
    );
  });
});

describe("layer groups", () => {
  const tokens = Int32Array.from({ length: 64 }, (_, i) => i);

  test("give back blocks that a window has left", () => {
    const groups = MODELS["full and sliding"] as LayerGroupSpec[];
    const manager = new BlockManager({ numBlocks: 40, tokensPerBlock: SIZE, groups, policy: "lru" });
    const table = manager.createSequence(tokens, { cache: false });
    expect(manager.counters().heldBlocks).toBe(32);
    table.appendToken(0);
    // 17 full blocks; of the window, positions 57 and on: blocks 14, 15 and the new one.
    expect(manager.counters().heldBlocks).toBe(17 + 3);
    expect(table.blocks(1).slice(0, 14)).toEqual(new Array(14).fill(-1));
  });

  test("share blocks of one size, and have their own where sizes differ", () => {
    const sliding = { name: "sliding", kind: "sliding", windowTokens: 4 } as const;
    const full = { name: "full", kind: "full" } as const;
    const shared = new BlockManager({ numBlocks: 8, tokensPerBlock: SIZE, groups: [full, sliding] });
    const apart = new BlockManager({
      numBlocks: 4,
      moreSizes: [{ numBlocks: 4, bytesPerBlock: 10 }],
      tokensPerBlock: SIZE,
      groups: [full, { ...sliding, sizeClass: 1 }],
    });
    for (const [pool, spans] of [
      [shared, 6],
      [apart, 4],
    ] as const) {
      const table = pool.createSequence([], { cache: false });
      for (let i = 0; i < spans * SIZE; i++) table.appendToken(i);
      expect(() => table.appendToken(0)).toThrow(OutOfBlocksError);
      expect(table.length).toBe(spans * SIZE);
      pool.checkInvariants();
    }
    const wanted = { wantedBlocks: 1, freeBlocks: 0, evictableBlocks: 0, numBlocks: 4, bytesPerBlock: 1 };
    expect(() => apart.createSequence([1])).toThrow(expect.objectContaining(wanted));
    const usage = apart.usage();
    expect(usage.namespaces[0]?.bytes).toBe(usage.poolBytes - usage.freeBytes);
    expect([usage.poolBytes, usage.freeBytes]).toEqual([4 + 40, 20]);
  });

  test("number the blocks of each size behind those before", () => {
    const groups = MODELS["full, sliding and state, each with blocks of its own"] as LayerGroupSpec[];
    const manager = new BlockManager({ ...sizesOf(groups), tokensPerBlock: SIZE, groups });
    expect(manager.sizes.map(({ firstBlock }) => firstBlock)).toEqual([0, 14, 34]);
    const table = manager.createSequence(tokens.subarray(0, 13));
    const ranges = [0, 1, 2].map((group) => Math.min(...table.blocks(group)));
    expect(ranges).toEqual([0, 14, 34]);
  });

  test("have nothing before the window in long sequences that begin with a prefix", () => {
    const groups = MODELS["full and sliding"] as LayerGroupSpec[];
    const manager = new BlockManager({ numBlocks: 120, tokensPerBlock: 2, groups, policy: "lru" });
    const trunk = manager.createSequence(tokens);
    const fork = trunk.fork();
    const second = manager.createSequence([...tokens, 1]);
    expect(second.reusedTokens).toBe(64);
    for (const table of [fork, second]) {
      expect(table.blocks(1).slice(0, 28)).toEqual(new Array(28).fill(-1));
    }
    manager.checkInvariants();
    for (const table of [fork, second, trunk]) table.dispose();
    manager.checkInvariants();
  });

  test("reuse only what every group still has", () => {
    const groups = MODELS["full and sliding"] as LayerGroupSpec[];
    const manager = new BlockManager({ numBlocks: 40, tokensPerBlock: SIZE, groups, policy: "lru" });
    manager.createSequence(tokens).dispose();
    expect(manager.countReusable(tokens)).toBe(60);
    // Half of the pool goes to another sequence: all of the window's blocks are as old as the full ones.
    const other = manager.createSequence(tokens.map((token) => token + 1000).subarray(0, 44));
    const reusable = manager.countReusable(tokens);
    expect(reusable).toBeLessThan(60);
    const table = manager.openSequence(tokens);
    expect(table.reusedTokens).toBe(reusable);
    other.dispose();
    table.dispose();
    manager.checkInvariants();
  });

  test("reuse a prefix with states only at checkpoints", () => {
    const groups = MODELS["full and state"] as LayerGroupSpec[];
    const manager = new BlockManager({ numBlocks: 60, tokensPerBlock: SIZE, groups, policy: "lru" });
    manager.createSequence(tokens.subarray(0, 30)).dispose();
    expect(manager.countReusable(tokens)).toBe(24);
    manager.takeWork();
    const table = manager.createSequence(tokens);
    expect(manager.takeWork()[0]).toMatchObject({ kind: "copy", group: 1, to: table.blocks(1)[0], numTokens: 24 });
  });

  test("say which group has lost what going back needs", () => {
    const groups = MODELS["full and sliding"] as LayerGroupSpec[];
    const manager = new BlockManager({ numBlocks: 60, tokensPerBlock: SIZE, groups, policy: "lru" });
    const table = manager.createSequence(tokens, { cache: false });
    table.appendToken(1);
    expect(() => table.truncate(20)).toThrow('truncate at position 20 needs tokens that the layer group "sliding"');
    expect(() => table.fork(20)).toThrow(LostBlocksError);
    expect(table.length).toBe(65);
    manager.checkInvariants();
  });

  test.each<[string, LayerGroupSpec[], string]>([
    ["a size that is not there", [{ name: "f", kind: "full", sizeClass: 1 }], "sizeClass of group f is 1"],
    ["no group", [], "groups is []"],
    ["a window of nothing", [{ name: "w", kind: "sliding", windowTokens: 0 }], "windowTokens of group w is 0"],
    ["checkpoints within blocks", [{ name: "s", kind: "state", checkpointTokens: 6 }], "a multiple of 4"],
    [
      "two of a name",
      [
        { name: "a", kind: "full" },
        { name: "a", kind: "full" },
      ],
      "named differently",
    ],
  ])("refuse %s", (_, groups, message) => {
    expect(() => new BlockManager({ numBlocks: 4, tokensPerBlock: SIZE, groups })).toThrow(message);
  });
});
