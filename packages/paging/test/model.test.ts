import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { POLICY_NAMES } from "../src/index.ts";
import { SideBySide, type Step } from "./random-steps.ts";

const KINDS = ["create", "append", "appendToken", "fork", "truncate", "free", "pin", "unpin", "clear"] as const;

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom<Step["kind"]>("create", "create", "append", "append", ...KINDS.slice(0, -1), ...KINDS),
  pick: fc.nat(1000),
  length: fc.nat(40),
  seed: fc.nat(100_000),
});

describe.each(POLICY_NAMES)("random operations against the naive model, policy %s", (policy) => {
  test.each([
    ["the default hash", undefined],
    ["a constant hash", () => 7],
  ])("with %s", (_, prefixHash) => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 150, size: "max" }),
        fc.constantFrom(1, 3, 4),
        (steps, tokensPerBlock) => {
          const options = { numBlocks: 24, tokensPerBlock, policy, clock: () => 0 };
          const run = new SideBySide(prefixHash === undefined ? options : { ...options, prefixHash });
          for (const each of steps) {
            run.run(each);
            run.manager.checkInvariants();
            run.compareContents();
          }
          run.freeAll();
          run.manager.clear();
          run.manager.checkInvariants();
          expect(run.manager.counters().freeBlocks).toBe(24);
        },
      ),
      { numRuns: 60 },
    );
  });
});
