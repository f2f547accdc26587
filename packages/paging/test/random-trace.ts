import fc from "fast-check";
import type { Trace } from "../src/replay/index.ts";

/** A prompt that goes on from a part of an earlier one, with so many blocks of its own. */
const step = fc.record({
  from: fc.nat(1000),
  sharedBlocks: fc.nat(8),
  newBlocks: fc.nat(5),
  outputTokens: fc.nat(30),
  pauseMs: fc.nat(200),
});

/** Traces whose ids stand for their block and all before it, as Mooncake's do, with blocks of 8 tokens. */
export const randomTrace: fc.Arbitrary<Trace> = fc.array(step, { minLength: 1, maxLength: 40 }).map((steps) => {
  const prompts: number[][] = [];
  let next = 0;
  let arrivalMs = 0;
  const requests = steps.map(({ from, sharedBlocks, newBlocks, outputTokens, pauseMs }) => {
    const earlier = prompts[from % Math.max(1, prompts.length)] ?? [];
    const prefixIds = [...earlier.slice(0, sharedBlocks), ...Array.from({ length: newBlocks }, () => next++)];
    prompts.push(prefixIds);
    arrivalMs += pauseMs;
    return { arrivalMs, promptTokens: prefixIds.length * 8, outputTokens, prefixIds };
  });
  return { format: "mooncake", requests, tokensPerId: 8 };
});
