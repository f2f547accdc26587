import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { sizeOf } from "../src/cache-size.ts";
import { fromHuggingFace } from "../src/hugging-face/from-hugging-face.ts";
import type { ModelShape } from "../src/model-shape.ts";
import { planReport } from "../src/plan-report.ts";
import { sizeReport } from "../src/size-report.ts";
import { modelShape, READABLE } from "./models.ts";

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

const OUR_CODES = ["INVALID_CONFIG", "UNSUPPORTED_MODEL", "SIZE_OVERFLOW"];

/** Values that no key of a configuration can have, or that few can. */
const strange = fc.oneof(
  fc.constantFrom<Json>(null, true, false, 0, -1, 1.5, -0.5, 1e308, 2 ** 53, 1e15, "", "8", "full_attention", [], {}, [
    [],
  ]),
  fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY),
  fc.jsonValue() as fc.Arbitrary<Json>,
);

/** Every place of a configuration where something can be changed. */
function paths(value: unknown, at: readonly (string | number)[] = []): (readonly (string | number)[])[] {
  if (Array.isArray(value)) return [at, ...value.slice(0, 3).flatMap((item, i) => paths(item, [...at, i]))];
  if (typeof value !== "object" || value === null) return [at];
  return [at, ...Object.entries(value).flatMap(([key, item]) => paths(item, [...at, key]))];
}

function changed(value: unknown, at: readonly (string | number)[], change: (old: unknown) => unknown): unknown {
  const [key, ...rest] = at;
  if (key === undefined) return change(value);
  if (Array.isArray(value)) return value.map((item, i) => (i === key ? changed(item, rest, change) : item));
  const record = value as Record<string, unknown>;
  return { ...record, [key]: changed(record[key], rest, change) };
}

const mutated = fc.constantFrom(...READABLE).chain(({ config }) =>
  fc.record({
    config: fc.constant(config as unknown),
    at: fc.constantFrom(...paths(config)),
    change: fc.oneof(
      strange.map((value) => () => value as unknown),
      fc.constant((): undefined => undefined),
      fc.constant((old: unknown) => (Array.isArray(old) ? [...old, ...old] : typeof old === "number" ? -old : [old])),
      fc.constant((old: unknown) =>
        Array.isArray(old) ? old.slice(0, -2) : typeof old === "number" ? old * 1.37 : old,
      ),
      fc.constant((old: unknown) => (typeof old === "number" ? old * 1_000_000_007 : `${String(old)}x`)),
    ),
  }),
);

/** Either a shape of whole numbers, or one of our errors with all it should say. */
function readsOrRefuses(config: unknown): void {
  let shape: ModelShape;
  try {
    shape = fromHuggingFace(config);
  } catch (error) {
    expect(OUR_CODES).toContain((error as { code?: string }).code);
    const { field, key, allowed, expected, message } = error as Record<string, unknown>;
    expect(typeof (field ?? key)).toBe("string");
    expect(typeof (allowed ?? expected)).toBe("string");
    expect(message).not.toMatch(/undefined is not|cannot read/i);
    return;
  }
  // A copy is checked field by field, which the reader's own shape is not.
  const size = sizedOrTooLarge({ ...shape });
  if (size !== undefined) expect(Number.isSafeInteger(size) && size >= 0).toBe(true);
}

function sizedOrTooLarge(shape: ModelShape): number | undefined {
  try {
    return sizeOf(shape, { tokens: 4096, encoderTokens: 100 }).totalBytes;
  } catch (error) {
    expect((error as { code?: string }).code).toBe("SIZE_OVERFLOW");
    return undefined;
  }
}

describe("fromHuggingFace", () => {
  test("a change anywhere in a real configuration is read or refused, never NaN", () => {
    fc.assert(
      fc.property(mutated, ({ config, at, change }) => readsOrRefuses(changed(config, at, change))),
      { numRuns: 5000 },
    );
  });

  test("whatever else is given", () => {
    fc.assert(fc.property(fc.anything(), readsOrRefuses), { numRuns: 1000 });
    fc.assert(
      fc.property(fc.constantFrom(...READABLE), fc.dictionary(fc.string(), strange), ({ config }, other) => {
        readsOrRefuses({ ...other, model_type: config["model_type"] });
      }),
    );
  });

  test.each([
    [{ model_type: "llama", num_hidden_layers: 0 }, "num_hidden_layers", "a whole number from 1"],
    [{ model_type: "transformer9000" }, "model_type", "known here"],
    [{ hidden_size: 5 }, "model_type", "a string"],
    [{ model_type: "gemma3", text_config: [] }, "text_config", "an object"],
    [{ ...READABLE[0]?.config, num_attention_heads: 30, num_key_value_heads: undefined }, "head_dim", "do not divide"],
    [{ ...READABLE[0]?.config, num_key_value_heads: 5 }, "num_key_value_heads", "divides the 32"],
    [{ ...READABLE[0]?.config, num_hidden_layers: 2 ** 40 }, "num_hidden_layers", "from 1 to 10000"],
    [{ ...READABLE[0]?.config, kv_lora_rank: 512 }, "kv_lora_rank", "not known here"],
    [{ ...READABLE[0]?.config, layer_types: ["full_attention"] }, "layer_types", "a list of 32"],
    [{ ...READABLE[0]?.config, layer_types: Array(32).fill("warp_attention") }, "layer_types[0]", "full_attention"],
    [{ ...READABLE[0]?.config, layer_types: Array(32).fill("sliding_attention") }, "sliding_window", "tokens"],
  ])("names the key: %#", (config, key, expected) => {
    try {
      fromHuggingFace(config);
      expect.unreachable();
    } catch (error) {
      const failed = error as Record<string, unknown>;
      expect(`${failed["field"] ?? failed["key"]}`).toContain(key);
      expect(`${failed["allowed"] ?? failed["expected"]}`).toContain(expected);
      expect(failed["message"]).toContain(key);
    }
  });
});

describe("sizes and plans", () => {
  const shape = modelShape("google/gemma-3-27b-it");

  test("strange options are refused by name or sized to whole numbers", () => {
    const option = fc.constantFrom(
      "tokens",
      "sequences",
      "encoderTokens",
      "tokensPerBlock",
      "rule",
      "format",
      "sharding",
      "knobs",
    );
    fc.assert(
      fc.property(option, strange, (name, value) => {
        try {
          const { totalBytes } = sizeReport(shape, { tokens: 10, [name]: value });
          expect(Number.isSafeInteger(totalBytes)).toBe(true);
        } catch (error) {
          expect(OUR_CODES).toContain((error as { code?: string }).code);
        }
      }),
      { numRuns: 2000 },
    );
  });

  test.each([-1, 1.5, Number.NaN, "80GiB", undefined])("a budget of %s is refused", (budgetBytes) => {
    expect(() => planReport(shape, { budgetBytes: budgetBytes as number })).toThrow(
      /budgetBytes must be a whole number/,
    );
  });

  test("a shape that is none is refused", () => {
    fc.assert(
      fc.property(fc.anything(), (layers) => {
        const tried = (): unknown => sizeOf({ layers } as unknown as ModelShape, { tokens: 1 });
        if (Array.isArray(layers) && layers.length === 0) return;
        expect(tried).toThrow(expect.objectContaining({ code: "INVALID_CONFIG" }));
      }),
    );
  });

  test("an unknown knob is refused with the known ones", () => {
    const tried = (): unknown => sizeReport(shape, { rule: "llama.cpp", tokens: 10, knobs: { swa_full: true } });
    expect(tried).toThrow(/knobs\.swa_full must be one of ctxSize, .*swaFull/);
  });
});
