import { expect, test } from "vitest";
import { mix32 } from "../prefix-hash.ts";
import { writePromptTokens } from "./trace-tokens.ts";

function tokensOf(...prefixIds: number[]): number[] {
  const promptTokens = 512 * prefixIds.length;
  const into = new Int32Array(promptTokens);
  const requests = [{ arrivalMs: 0, promptTokens, outputTokens: 1, prefixIds }];
  writePromptTokens({ format: "mooncake", requests, tokensPerId: 512 }, 0, into);
  return [...into];
}

test("token j of id h is fmix32(h * 512 + j) % 128000", () => {
  const wanted = Array.from({ length: 1024 }, (_, i) => (mix32(5_000_000 * 512 + i) >>> 0) % 128_000);
  expect(tokensOf(5_000_000, 5_000_001)).toEqual(wanted);
});

test("ids that are equal in 23 bits, and negative ones, have other tokens in each block of 16", () => {
  const ids = [1, 1 + 2 ** 23, 1 + 2 ** 24, 1 + 2 ** 40, Number.MAX_SAFE_INTEGER, -1, 1 - 2 ** 23, 2 ** 23 - 1];
  const blocks = ids
    .map((id) => tokensOf(id))
    .flatMap((tokens) => [tokens.slice(0, 16).join(), tokens.slice(496).join()]);
  expect(new Set(blocks).size).toBe(2 * ids.length);
});
