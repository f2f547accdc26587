import { expect, test } from "vitest";
import { PromptBlocks } from "./prompt-blocks.ts";
import type { Trace } from "./trace.ts";

function traceOf(...prompts: [promptTokens: number, prefixIds: number[] | undefined][]): Trace {
  const requests = prompts.map(([promptTokens, prefixIds]) => ({
    arrivalMs: 0,
    promptTokens,
    outputTokens: 1,
    prefixIds,
  }));
  return { format: "mooncake", requests, tokensPerId: 512 };
}

const blocks = (trace: Trace, tokensPerBlock: number): number[][] =>
  new PromptBlocks(trace, tokensPerBlock).prompts.map((prompt) => [...prompt]);

test("ids become numbers in the order in which they come", () => {
  const trace = traceOf([1024, [70, 9]], [600, [70, 5]]);
  expect(blocks(trace, 512)).toEqual([
    [0, 1],
    [0, 2],
  ]);
});

test("smaller blocks share what the ids share, up to a partial end", () => {
  expect(blocks(traceOf([600, [70, 9]], [520, [70, 5]]), 256)).toEqual([
    [0, 1, 2],
    [0, 1, 3],
  ]);
});

test("larger blocks are equal when their last id is", () => {
  expect(blocks(traceOf([1536, [1, 2, 3]], [1024, [1, 2]], [1536, [1, 2, 4]]), 1024)).toEqual([[0, 1], [0], [0, 2]]);
});

test("prompts without ids share nothing", () => {
  const prompts = new PromptBlocks(traceOf([1000, undefined], [1000, undefined]), 512);
  expect(prompts.count).toBe(4);
});

test("the ids are the blocks where their number is not the prompt's", () => {
  expect(blocks(traceOf([10, [1, 2, 3]], [5000, [1, 2]]), 512)).toEqual([
    [0, 1, 2],
    [0, 1],
  ]);
});

test("ids of any size and sign stay apart", () => {
  const largest = Number.MAX_SAFE_INTEGER;
  const trace = traceOf([1024, [largest, largest - 1]], [1024, [-1, -largest]]);
  expect(new PromptBlocks(trace, 16).count).toBe(128);
});

test("refuses blocks that do not fit the ids", () => {
  expect(() => new PromptBlocks(traceOf(), 100)).toThrow(
    "tokensPerBlock is 100; it must be a divisor or multiple of 512",
  );
});
