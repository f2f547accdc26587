import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  POLICY_NAMES,
  parseAzureTrace,
  parseMooncakeTrace,
  readTrace,
  replaySequentially,
  replayTimed,
  sweepPoolSizes,
  sweepSizes,
  type Trace,
  TraceFormatError,
} from "../src/replay/index.ts";
import { lruHits } from "./lru-oracle.ts";
import { randomTrace } from "./random-trace.ts";
import { fixture, mooncakeTrace } from "./traces.ts";

const mooncake = mooncakeTrace();

describe("replaySequentially", () => {
  test("finds every reuse in an unlimited pool", () => {
    const report = replaySequentially(mooncake, { numBlocks: "unlimited", policy: "lru" });
    expect(report.blocks).toEqual({ requested: 288_500, hit: 105_710, evicted: 0 });
    expect(report.peakBlocks).toBe(182_790);
    expect(report.tokens.prompt).toBe(144_793_823);
  });

  test.each([
    [1000, 12_847],
    [3000, 18_850],
    [10_000, 61_046],
    [30_000, 93_978],
    [100_000, 104_924],
  ])("lru with %i blocks hits %i", (numBlocks, hit) => {
    expect(replaySequentially(mooncake, { numBlocks, policy: "lru" }).blocks.hit).toBe(hit);
  });

  test.each([1000, 3000, 10_000, 30_000])("the default policy beats lru at %i blocks", (numBlocks) => {
    const lru = replaySequentially(mooncake, { numBlocks, policy: "lru" }).blocks.hit;
    expect(replaySequentially(mooncake, { numBlocks }).blocks.hit).toBeGreaterThan(1.02 * lru);
  });

  test.each([300, 1000, 3000, 10_000])(
    "the default policy hardly loses to lru on the first 2,000 at %i",
    (numBlocks) => {
      const trace = { ...mooncake, requests: mooncake.requests.slice(0, 2000) };
      const lru = replaySequentially(trace, { numBlocks, policy: "lru" }).blocks.hit;
      expect(replaySequentially(trace, { numBlocks }).blocks.hit).toBeGreaterThan(0.99 * lru);
    },
  );

  test.each([60, 200, 500, 2000])("lru agrees with its definition on a real slice at %i blocks", async (numBlocks) => {
    const slice = await readTrace(fixture("mooncake-conversation-first-500.jsonl.gz"));
    const requests = slice.requests.filter(({ prefixIds = [] }) => (prefixIds as number[]).length <= 60).slice(0, 250);
    const trace: Trace = { ...slice, requests };
    const report = replaySequentially(trace, { numBlocks, policy: "lru" });
    expect(report.blocks.hit).toBe(lruHits(trace, numBlocks));
  });

  test("lru agrees with its definition on random traces at every pool size", () => {
    fc.assert(
      fc.property(randomTrace, (trace) => {
        for (let numBlocks = 1; numBlocks <= 24; numBlocks++) {
          const { blocks } = replaySequentially(trace, { numBlocks, policy: "lru" });
          expect([numBlocks, blocks.hit]).toEqual([numBlocks, lruHits(trace, numBlocks)]);
        }
      }),
      { numRuns: 100 },
    );
  });

  test("no policy hits more than an unlimited pool, and all account for every block", () => {
    fc.assert(
      fc.property(
        randomTrace,
        fc.constantFrom(...POLICY_NAMES),
        fc.integer({ min: 1, max: 24 }),
        (trace, policy, numBlocks) => {
          const unlimited = replaySequentially(trace, { numBlocks: "unlimited", policy });
          const { blocks, peakBlocks, samples, occupancy, waste } = replaySequentially(trace, { numBlocks, policy });
          const all = replaySequentially(trace, { numBlocks: "unlimited", policy: "lru" }).blocks.hit;
          expect([unlimited.blocks.hit, unlimited.blocks.evicted]).toEqual([all, 0]);
          expect(blocks.hit).toBeLessThanOrEqual(all);
          expect(peakBlocks).toBeLessThanOrEqual(numBlocks);
          expect(samples.at(-1)).toMatchObject({ requests: trace.requests.length, evictedBlocks: blocks.evicted });
          expect(occupancy + waste.tail).toBeCloseTo(1, 12);
        },
      ),
      { numRuns: 200 },
    );
  });

  test("takes blocks that divide the trace's or are multiples of them", () => {
    const unlimited = (tokensPerBlock: number): number =>
      replaySequentially(mooncake, { numBlocks: "unlimited", policy: "lru", tokensPerBlock }).tokens.reused;
    expect(unlimited(256)).toBeGreaterThan(0.999 * 105_710 * 512);
    expect(unlimited(1024)).toBeLessThan(105_710 * 512);
    expect(() => replaySequentially(mooncake, { numBlocks: 9, tokensPerBlock: 100 })).toThrow("divisor or multiple");
  });

  test("stores the beginning of a prompt that is larger than the pool", () => {
    const line = '{"timestamp":0,"input_length":2048,"output_length":1,"hash_ids":[1,2,3,4]}';
    const report = replaySequentially(parseMooncakeTrace(`${line}\n${line}`), { numBlocks: 3, policy: "lru" });
    expect(report.blocks).toEqual({ requested: 8, hit: 3, evicted: 0 });
  });
});

describe("sweepPoolSizes", () => {
  test("hits more with more blocks", () => {
    const slice = { ...mooncake, requests: mooncake.requests.slice(0, 1000) };
    const sizes = sweepSizes(20_000, 5);
    expect(sizes).toEqual([78, 312, 1249, 4998, 20_000]);
    const rates = sweepPoolSizes(slice, sizes, { policy: "lru" }).map(({ hitRate }) => hitRate);
    expect([...rates].sort((a, b) => a - b)).toEqual(rates);
  });
});

describe("replayTimed", () => {
  const slice = { ...mooncake, requests: mooncake.requests.slice(0, 120) };

  test("serves every request when there is room", () => {
    const report = replayTimed(slice, { numBlocks: 200_000, tokensPerBlock: 16, policy: "lru" });
    expect(report).toMatchObject({ requests: 120, preemptions: 0, rejected: 0 });
    expect(report.tokens.output).toBe(slice.requests.reduce((sum, { outputTokens }) => sum + outputTokens, 0));
    expect(report.blocks.hit).toBeGreaterThan(0);
    expect(report.peakSequences).toBeGreaterThan(1);
    expect(report.occupancy).toBeGreaterThan(0.99);
  });

  test("preempts when blocks run out, and still serves every request", () => {
    const report = replayTimed(slice, {
      numBlocks: 2500,
      tokensPerBlock: 16,
      policy: "lru",
      prefillTokensPerSecond: 200_000,
    });
    expect(report.preemptions).toBeGreaterThan(0);
    expect(report.tokens.output).toBeGreaterThan(0);
    const served = report.firstTokenMs;
    expect(served.p99).toBeGreaterThanOrEqual(served.p50);
  });

  test("replays lengths alone", async () => {
    const azure = await readTrace(fixture("azure-conversation-2023-first-2000.csv.gz"));
    const requests = azure.requests.slice(0, 300);
    const report = replayTimed({ ...azure, requests }, { numBlocks: 4000, tokensPerBlock: 16 });
    expect(report.blocks.hit).toBe(0);
    expect(report.tokens.output).toBe(requests.reduce((sum, { outputTokens }) => sum + outputTokens, 0));
  });

  test("checks the service rate", () => {
    expect(() => replayTimed(slice, { numBlocks: 10, tokensPerBlock: 16, stepMs: 0 })).toThrow("stepMs is 0");
  });
});

describe("readTrace", () => {
  test("reads Azure's times to the tenth of a microsecond", async () => {
    const trace = await readTrace(fixture("azure-conversation-2023-first-2000.csv.gz"));
    expect(trace.requests).toHaveLength(2000);
    expect(trace.requests[0]).toEqual({ arrivalMs: 0, promptTokens: 374, outputTokens: 44, prefixIds: undefined });
    expect(trace.requests[1]?.arrivalMs).toBeCloseTo(4314.579, 3);
  });

  test("reads Mooncake's lines, compressed or not", async () => {
    const line = '{"timestamp": 5, "input_length": 600, "output_length": 52, "hash_ids": [46, 47]}\n';
    const trace = await readTrace(new TextEncoder().encode(line));
    expect(trace.requests).toEqual([{ arrivalMs: 5, promptTokens: 600, outputTokens: 52, prefixIds: [46, 47] }]);
    expect((await readTrace(fixture("mooncake-conversation-first-500.jsonl.gz"))).requests).toHaveLength(500);
  });

  test.each([
    ["nonsense", () => readTrace(new TextEncoder().encode("hello")), "line 1"],
    ["a broken gzip file", () => readTrace(Uint8Array.of(0x1f, 0x8b, 1, 2, 3)), "whole gzip file"],
    ["a truncated line", () => parseMooncakeTrace('{"timestamp": 1'), "line 1 of the trace: wanted a JSON object"],
    [
      "a negative count",
      () => parseMooncakeTrace('{"timestamp":0,"input_length":-1}'),
      "a count of tokens from 0 to 268435456 as input_length, found -1",
    ],
    ["another header", () => parseAzureTrace("a,b,c\n"), "the header"],
    [
      "a prompt that no memory holds",
      () => parseMooncakeTrace('{"timestamp":0,"input_length":268435457,"output_length":1,"hash_ids":[]}'),
      "a count of tokens from 0 to 268435456 as input_length, found 268435457",
    ],
    [
      "such a prompt of Azure",
      () => parseAzureTrace("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46,1,268435457\n"),
      "a count of tokens from 0 to 268435456 as GeneratedTokens, found 268435457",
    ],
    [
      "an id of 64 bits, of which two could be read as one",
      () => parseMooncakeTrace('{"timestamp":0,"input_length":1,"output_length":1,"hash_ids":[18446744073709551615]}'),
      "give larger ids smaller numbers",
    ],
    ["a wrong time", () => parseAzureTrace("TIMESTAMP,ContextTokens,GeneratedTokens\nnoon,1,2\n"), "line 2"],
  ])("refuses %s", async (_, read, message) => {
    const attempt = async (): Promise<unknown> => read();
    await expect(attempt()).rejects.toThrow(TraceFormatError);
    await expect(attempt()).rejects.toThrow(message);
  });
});
