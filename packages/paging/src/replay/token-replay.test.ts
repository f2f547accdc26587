import { expect, test } from "vitest";
import { replayTokens } from "./token-replay.ts";
import type { Trace } from "./trace.ts";

const prompt = (promptTokens: number, ...prefixIds: number[]): Trace["requests"][number] => ({
  arrivalMs: 0,
  promptTokens,
  outputTokens: 1,
  prefixIds,
});
const trace: Trace = {
  format: "mooncake",
  tokensPerId: 512,
  requests: [prompt(2048, 1, 2, 3, 4), prompt(2048, 1, 2, 3, 4), prompt(1000, 1, 5)],
};

test("finds whole blocks, and never the last token", () => {
  const report = replayTokens(trace, { numBlocks: 1000, tokensPerBlock: 16 });
  expect(report.blocks).toEqual({ requested: 128 + 128 + 63, hit: 127 + 32, evicted: 0 });
  expect(report.tokens.reused).toBe((127 + 32) * 16);
});

test("gives back what windows have left between two chunks", () => {
  const groups = [{ name: "window", kind: "sliding" as const, windowTokens: 64 }];
  const peak = (chunkTokens: number): number =>
    replayTokens(trace, { numBlocks: 1000, tokensPerBlock: 16, groups, chunkTokens }).peakHeldBlocks;
  expect(peak(4096)).toBe(128);
  expect(peak(256)).toBeLessThanOrEqual(256 / 16 + 64 / 16 + 1);
});

test("computes in smaller parts where windows have few blocks", () => {
  const groups = [
    { name: "full", kind: "full" as const },
    { name: "window", kind: "sliding" as const, windowTokens: 64, sizeClass: 1 },
  ];
  const options = { numBlocks: 1000, moreSizes: [{ numBlocks: 10 }], tokensPerBlock: 16, groups };
  const { peakHeldBlocks, requestBytes } = replayTokens(trace, options);
  expect(peakHeldBlocks).toBeGreaterThanOrEqual(2048 / 16 + 4);
  const tokens = 128 + 128 + 63;
  expect(requestBytes.everyToken).toBe((2 * tokens) / 3);
  expect(requestBytes.held).toBeLessThanOrEqual((tokens + 3 * 10) / 3);
  expect(requestBytes.held).toBeGreaterThan((tokens + 3 * 4) / 3);
});

test("finds a prefix only where every group still has it", () => {
  const groups = [
    { name: "full", kind: "full" as const },
    { name: "state", kind: "state" as const, checkpointTokens: 1024 },
  ];
  expect(replayTokens(trace, { numBlocks: 1000, tokensPerBlock: 16, groups }).blocks.hit).toBe(64);
});

test("accounts for what a group does not fill", () => {
  const groups = [{ name: "half", kind: "full" as const, usedBytesPerBlock: 50 }];
  const report = replayTokens(trace, { numBlocks: 1000, tokensPerBlock: 16, bytesPerBlock: 100, groups });
  expect(report.waste.padding).toBeCloseTo(0.5, 9);
});

test("stores the beginning of a prompt that is larger than the pool", () => {
  expect(replayTokens(trace, { numBlocks: 40, tokensPerBlock: 16, chunkTokens: 160 }).blocks.hit).toBe(40 + 32);
});
