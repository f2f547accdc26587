import fc from "fast-check";
import { expect, test } from "vitest";
import { tokensToAppend } from "./append-tokens.ts";

test("a prompt and tokens that fit in any context", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 200_000 }), (context) => {
      const { promptTokens, decodeTokens } = tokensToAppend(context);
      expect(promptTokens).toBeGreaterThanOrEqual(1);
      expect(decodeTokens).toBeGreaterThanOrEqual(0);
      expect(promptTokens + decodeTokens).toBeLessThanOrEqual(context);
      if (context >= 40) expect([promptTokens, decodeTokens]).toEqual([32, 8]);
    }),
  );
});
