import { describe, expect, test } from "vitest";
import type { BlockId } from "./block-id.ts";
import { BlockManager } from "./block-manager.ts";
import { SequenceBatch } from "./sequence-batch.ts";

const tokens = (length: number, first = 0): Int32Array => Int32Array.from({ length }, (_, i) => first + i);

function setUp(): { manager: BlockManager; batch: SequenceBatch } {
  const manager = new BlockManager({ numBlocks: 64, tokensPerBlock: 4, policy: "lru" });
  const batch = new SequenceBatch({ tokensPerBlock: 4, maxSequences: 3, maxBlocksPerSequence: 8, maxTokens: 16 });
  return { manager, batch };
}

describe("SequenceBatch", () => {
  test("writes tables, slots, lengths and offsets", () => {
    const { manager, batch } = setUp();
    const a = manager.createSequence(tokens(6));
    const b = manager.createSequence(tokens(3, 100));
    batch.prepare([a, b], [2, 3]);
    const [a0, a1] = a.blocks() as [BlockId, BlockId];
    const [b0] = b.blocks() as [BlockId];
    expect(Array.from(batch.arrays.blockTables.subarray(0, 9))).toEqual([a0, a1, -1, -1, -1, -1, -1, -1, b0]);
    const slots = [a1 * 4, a1 * 4 + 1, b0 * 4, b0 * 4 + 1, b0 * 4 + 2];
    expect(Array.from(batch.arrays.slotMapping.subarray(0, 5))).toEqual(slots);
    expect(Array.from(batch.arrays.sequenceLengths.subarray(0, 2))).toEqual([6, 3]);
    expect(Array.from(batch.arrays.queryOffsets.subarray(0, 3))).toEqual([0, 2, 5]);
    expect([batch.numSequences, batch.numTokens]).toEqual([2, 5]);
  });

  test("kept from step to step, it is what a new one would be", () => {
    const { manager, batch } = setUp();
    let tables = [manager.createSequence(tokens(7)), manager.createSequence(tokens(9, 50))];
    for (let step = 0; step < 60; step++) {
      for (const table of tables) table.appendToken(step);
      if (step % 7 === 3) tables[0]?.truncate(5);
      if (step % 11 === 5) tables = [tables[1], tables[0]] as typeof tables;
      if (step % 13 === 8) {
        const old = tables[1];
        tables[1] = (old as (typeof tables)[0]).fork(6);
        old?.dispose();
        tables[1]?.appendToken(3);
      }
      if ((tables[1]?.length ?? 0) > 24) tables[1]?.truncate(9);
      batch.prepare(tables);
      const fresh = setUp().batch;
      fresh.prepare(tables);
      expect(batch.arrays).toEqual(fresh.arrays);
    }
  });

  test("leaves nothing in the rows that a smaller step does not have", () => {
    const { manager, batch } = setUp();
    expect(batch.arrays.slotMapping).toEqual(new Int32Array(16).fill(-1));
    const tables = [6, 3, 5].map((length, i) => manager.createSequence(tokens(length, 100 * i)));
    batch.prepare(tables, [3, 2, 2]);
    batch.prepare(tables.slice(0, 1), [2]);
    expect(Array.from(batch.arrays.sequenceLengths)).toEqual([6, 0, 0]);
    expect(Array.from(batch.arrays.slotMapping.subarray(2))).toEqual(new Array(14).fill(-1));
    batch.prepare(tables);
    expect(Array.from(batch.arrays.sequenceLengths)).toEqual([6, 3, 5]);
  });

  test("refuses what does not fit", () => {
    const { manager, batch } = setUp();
    const table = manager.createSequence(tokens(33));
    expect(() => batch.prepare([table])).toThrow("blocks of sequence 0 is 9; it must be at most 8");
    table.truncate(10);
    expect(() => batch.prepare([table], [11])).toThrow("query length of sequence 0");
    expect(() => batch.prepare([table, table, table, table])).toThrow("at most 3");
    expect(() => batch.prepare([table, table], [10, 10])).toThrow("new tokens is 20");
    const arrays = { ...batch.arrays, slotMapping: new Int32Array(1) };
    const options = { tokensPerBlock: 4, maxSequences: 3, maxBlocksPerSequence: 8, arrays };
    expect(() => new SequenceBatch(options)).toThrow("length of slotMapping");
  });
});
