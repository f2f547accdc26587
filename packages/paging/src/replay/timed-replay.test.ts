import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { randomTrace } from "../../test/random-trace.ts";
import { BlockManager } from "../block-manager.ts";
import type { BlockTable } from "../block-table.ts";
import type { LayerGroupSpec } from "../layer-group.ts";
import { POLICY_NAMES } from "../policies/by-name.ts";
import { replayTimed, type TimedReplayOptions } from "./timed-replay.ts";
import type { Trace, TraceRequest } from "./trace.ts";

function traceOf(...requests: Partial<TraceRequest>[]): Trace {
  const whole = { arrivalMs: 0, promptTokens: 0, outputTokens: 0, prefixIds: undefined };
  return { format: "azure", tokensPerId: 512, requests: requests.map((each) => ({ ...whole, ...each })) };
}

const POOL = { numBlocks: 100, tokensPerBlock: 10, stepMs: 10, prefillTokensPerSecond: 10_000 };

describe("the service rate", () => {
  test("a prompt takes its tokens over the rate, an answer one step each", () => {
    const report = replayTimed(traceOf({ promptTokens: 250, outputTokens: 5 }), POOL);
    // 100 tokens a step: three steps for the prompt, the third gives the first token.
    expect(report).toMatchObject({ durationMs: 70, firstTokenMs: { mean: 30, p50: 30, p99: 30 } });
  });

  test("prompts are computed in order, several in one step where they fit", () => {
    const prompts = [60, 30, 20].map((promptTokens) => ({ promptTokens, outputTokens: 1 }));
    const { firstTokenMs, durationMs } = replayTimed(traceOf(...prompts), POOL);
    expect(durationMs).toBe(20);
    expect(firstTokenMs.mean).toBeCloseTo((10 + 10 + 20) / 3, 9);
  });

  test("time passes while nobody asks", () => {
    const report = replayTimed(
      traceOf({ arrivalMs: 5, outputTokens: 1, promptTokens: 1 }, { arrivalMs: 10_000 }),
      POOL,
    );
    expect(report.durationMs).toBe(10_010);
  });

  test("never more than the most sequences", () => {
    const requests = Array.from({ length: 9 }, () => ({ promptTokens: 5, outputTokens: 20 }));
    expect(replayTimed(traceOf(...requests), { ...POOL, maxSequences: 4 }).peakSequences).toBe(4);
  });
});

describe("when blocks run out", () => {
  test("the one that came last is computed again, once another has ended", () => {
    const requests = [1, 2, 3].map(() => ({ promptTokens: 30, outputTokens: 60 }));
    const report = replayTimed(traceOf(...requests), { ...POOL, numBlocks: 15 });
    expect(report.preemptions).toBeGreaterThan(0);
    expect(report).toMatchObject({ rejected: 0, tokens: { prompt: 90, output: 180 } });
    expect(report.peakHeldBlocks).toBe(15);
  });

  test("what fits no pool is rejected, and the others are served", () => {
    const requests = [
      { promptTokens: 300, outputTokens: 5 },
      { promptTokens: 100, outputTokens: 5 },
    ];
    const report = replayTimed(traceOf(...requests), { ...POOL, numBlocks: 20 });
    expect(report).toMatchObject({ rejected: 1, tokens: { output: 5 } });
  });
});

const ALL = { name: "all", kind: "full" } as const;

describe("with states, of which a sequence needs one from its beginning", () => {
  const groups = [ALL, { name: "state", kind: "state", checkpointTokens: 20, sizeClass: 1 } as const];
  const pool = { ...POOL, groups, moreSizes: [{ numBlocks: 2, bytesPerBlock: 8 }] };

  test("those that come wait for one", () => {
    const requests = [1, 2, 3, 4].map(() => ({ promptTokens: 30, outputTokens: 5 }));
    const report = replayTimed(traceOf(...requests), pool);
    expect(report).toMatchObject({ peakSequences: 2, rejected: 0, preemptions: 0, tokens: { output: 20 } });
  });

  test("all are rejected where there is none", () => {
    const requests = [1, 2].map(() => ({ promptTokens: 30, outputTokens: 5 }));
    const groups = [ALL, { name: "a", kind: "state" }, { name: "b", kind: "state" }] as const;
    const report = replayTimed(traceOf(...requests), { ...POOL, numBlocks: 1, groups: [...groups] });
    expect(report).toMatchObject({ rejected: 2, tokens: { output: 0 } });
  });
});

describe("blocks of several sizes", () => {
  const groups = (blocksPerState: number): LayerGroupSpec[] => [
    { name: "full", kind: "full" },
    { name: "window", kind: "sliding", windowTokens: 20, sizeClass: 1 },
    { name: "state", kind: "state", sizeClass: 2, checkpointTokens: 20, blocksPerSpan: blocksPerState },
  ];
  const pool = (numBlocks: number, windows: number, states: number, blocksPerState = 1): TimedReplayOptions => ({
    ...POOL,
    numBlocks,
    groups: groups(blocksPerState),
    moreSizes: [{ numBlocks: windows }, { numBlocks: states }],
  });

  test("one that needs its window twice for a whole step is computed in parts", () => {
    const withoutState = { groups: groups(1).slice(0, 2), moreSizes: [{ numBlocks: 5 }] };
    const report = replayTimed(traceOf({ promptTokens: 500, outputTokens: 30 }), { ...POOL, ...withoutState });
    expect(report).toMatchObject({ rejected: 0, preemptions: 0, tokens: { output: 30 } });
  });

  test("what has no place for its state at all is rejected", () => {
    const report = replayTimed(
      traceOf({ promptTokens: 5, outputTokens: 5 }, { promptTokens: 7 }),
      pool(100, 100, 1, 2),
    );
    expect(report).toMatchObject({ rejected: 2, requests: 2, tokens: { prompt: 12, output: 0 } });
  });

  test("a prefix is found at the copies of states", () => {
    const prefixIds = [1];
    const request = { promptTokens: 50, outputTokens: 1, prefixIds };
    const trace: Trace = { ...traceOf(request, { ...request, arrivalMs: 1000 }), format: "mooncake" };
    expect(replayTimed(trace, pool(100, 100, 4)).tokens.reused).toBe(40);
    expect(replayTimed(trace, pool(100, 100, 1)).tokens.reused).toBe(0);
  });

  test("every request is served or rejected, however small the pool", () => {
    const sizes = fc.tuple(
      fc.integer({ min: 1, max: 30 }),
      fc.integer({ min: 1, max: 8 }),
      fc.integer({ min: 1, max: 4 }),
    );
    fc.assert(
      fc.property(
        randomTrace,
        sizes,
        fc.integer({ min: 10, max: 900 }),
        (trace, [numBlocks, windows, states], rate) => {
          let computed = 0;
          const managers: BlockManager[] = [];
          const prompts = trace.requests.reduce(
            (sum, { promptTokens, outputTokens }) => sum + promptTokens + outputTokens,
            0,
          );
          const report = replayTimed(trace, {
            ...pool(numBlocks, windows, states),
            prefillTokensPerSecond: 100 * rate,
            observer: {
              makePool: (options) => managers[managers.push(new BlockManager(options)) - 1] as BlockManager,
              onCompute: (_request, _table, from, to) => {
                computed += to - from;
                // Each sequence that ends can have made every other one begin again: more than that is no progress.
                if (computed > (trace.requests.length + 1) * prompts) throw new Error("no request ends");
              },
            },
          });
          managers[0]?.checkInvariants();
          expect(managers[0]?.counters().heldBlocks).toBe(0);
          const promised = trace.requests.reduce((sum, { outputTokens }) => sum + outputTokens, 0);
          if (report.rejected === 0) expect(report.tokens.output).toBe(promised);
          else expect(report.rejected).toBeLessThanOrEqual(trace.requests.length);
        },
      ),
      { numRuns: 200 },
    );
  });
});

test("empty prompts and answers end", () => {
  expect(replayTimed(traceOf({}, { outputTokens: 3 }, { promptTokens: 3 }), POOL)).toMatchObject({
    tokens: { prompt: 3, output: 3, reused: 0 },
    rejected: 0,
  });
});

test("windows give blocks back while a prompt is computed", () => {
  const request = { promptTokens: 5000, outputTokens: 1 };
  const groups = [{ name: "window", kind: "sliding" as const, windowTokens: 50 }];
  expect(replayTimed(traceOf(request), { ...POOL, numBlocks: 600, groups }).peakHeldBlocks).toBeLessThan(20);
  expect(replayTimed(traceOf(request), { ...POOL, numBlocks: 600 }).peakHeldBlocks).toBe(500);
});

const GROUPS = [
  [ALL],
  [ALL, { name: "window", kind: "sliding", windowTokens: 10 }],
  [ALL, { name: "state", kind: "state", checkpointTokens: 8 }],
] as const;

test("every token is computed in its order, whatever the pool, and the bookkeeping holds", () => {
  fc.assert(
    fc.property(
      randomTrace,
      fc.integer({ min: 3, max: 60 }),
      fc.constantFrom(...POLICY_NAMES),
      fc.constantFrom(...GROUPS),
      (trace, numBlocks, policy, groups) => {
        const managers: BlockManager[] = [];
        const placed = new Map<BlockTable, number>();
        const report = replayTimed(trace, {
          numBlocks,
          policy,
          groups: [...groups],
          tokensPerBlock: 4,
          prefillTokensPerSecond: 400,
          observer: {
            makePool: (options) => managers[managers.push(new BlockManager(options)) - 1] as BlockManager,
            onBegin: (_, table) => placed.set(table, table.reusedTokens),
            onCompute: (_, table, from, to) => {
              expect([from, to]).toEqual([placed.get(table), table.length]);
              expect(table.slot(to - 1)).toBeGreaterThanOrEqual(0);
              placed.set(table, to);
            },
            onEnd: (_, table) => placed.delete(table),
          },
        });
        managers[0]?.checkInvariants();
        expect(placed.size).toBe(0);
        const promised = trace.requests.reduce((sum, { outputTokens }) => sum + outputTokens, 0);
        if (report.rejected === 0) expect(report.tokens.output).toBe(promised);
        expect(report.peakHeldBlocks).toBeLessThanOrEqual(numBlocks);
      },
    ),
    { numRuns: 150 },
  );
});
