import { describe, expect, test } from "vitest";
import { SideBySide, type Step } from "./random-steps.ts";

const KINDS = [
  "create",
  "append",
  "append",
  "appendToken",
  "fork",
  "truncate",
  "free",
  "free",
  "pin",
  "unpin",
] as const;

/** A small generator of its own, so that a million steps are the same everywhere (xorshift32). */
function generator(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
}

describe("a million random steps", () => {
  test("leave the bookkeeping exact", () => {
    const random = generator(2026);
    const run = new SideBySide({ numBlocks: 64, tokensPerBlock: 4, scrub: "always", clock: () => 0 }, false);
    let done = 0;
    for (let i = 0; i < 1_000_000; i++) {
      const kind = (i % 50_000 === 49_999 ? "clear" : KINDS[random(KINDS.length)]) as Step["kind"];
      if (run.tryStep({ kind, pick: random(1000), length: random(40), seed: random(100_000) })) done++;
      if (i % 5000 !== 0) continue;
      run.manager.checkInvariants();
      run.compareContents();
    }
    expect(done).toBeGreaterThan(500_000);
    expect(run.reusedTokens).toBeGreaterThan(100_000);
    run.freeAll();
    run.manager.checkInvariants();
    run.manager.clear();
    expect(run.manager.counters()).toMatchObject({ freeBlocks: 64, heldBlocks: 0, pinnedBlocks: 0, sequences: 0 });
  });
});
