import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { growthBytesPerToken, sizeOf } from "../src/cache-size.ts";
import { KV_DTYPES } from "../src/dtype.ts";
import { NotRunByEngineError } from "../src/errors.ts";
import type { KvFormatInput } from "../src/format.ts";
import { fromHuggingFace } from "../src/hugging-face/from-hugging-face.ts";
import type { ModelShape } from "../src/model-shape.ts";
import { planReport } from "../src/plan-report.ts";
import type { PlanSuggestion } from "../src/plan-suggestions.ts";
import type { RuleName } from "../src/rules/rule.ts";
import { RULES } from "../src/rules/rules.ts";
import { layersPerStage } from "../src/sharding.ts";
import { sizeReport } from "../src/size-report.ts";
import { READABLE } from "./models.ts";

const SHAPES = READABLE.map(({ config }) => fromHuggingFace(config));
const anyShape = fc.constantFrom(...SHAPES);
const anyFormat: fc.Arbitrary<KvFormatInput> = fc.constantFrom(...KV_DTYPES, "int8", "int4");
const anyTokens = fc.integer({ min: 0, max: 300_000 });
const anyBlock = fc.constantFrom(1, 16, 64, 100);
const RULE_NAMES = Object.keys(RULES) as RuleName[];

/** Whether a rule's engine runs this model: it says so before anything is sized. */
function takes(rule: RuleName, shape: ModelShape): boolean {
  try {
    return sizeReport(shape, { rule, tokens: 1 }).totalBytes >= 0;
  } catch (error) {
    if (error instanceof NotRunByEngineError) return false;
    throw error;
  }
}

const GIVES_UP = ["windows", "format", "tensor", "sequences", "context"];

/** The documented order of suggestions: enough alone; what gives up least, and keeps most; or else what saves most. */
function standsBefore(one: PlanSuggestion, other: PlanSuggestion): boolean {
  if (one.fits !== other.fits) return one.fits;
  if (!one.fits) return one.savesBytes >= other.savesBytes;
  const more = GIVES_UP.indexOf(other.change) - GIVES_UP.indexOf(one.change);
  return more > 0 || (more === 0 && one.savesBytes <= other.savesBytes);
}

const withRule = (rule: RuleName): fc.Arbitrary<ModelShape> =>
  fc.constantFrom(...SHAPES.filter((shape) => takes(rule, shape)));

describe.each(RULE_NAMES)("%s", (rule) => {
  test("never shrinks with more tokens or sequences", () => {
    fc.assert(
      fc.property(
        withRule(rule),
        anyTokens,
        anyTokens,
        fc.integer({ min: 1, max: 8 }),
        (shape, tokens, more, sequences) => {
          const at = (length: number, count: number): number =>
            sizeReport(shape, { rule, tokens: length, sequences: count }).totalBytes;
          const base = at(tokens, sequences);
          expect(at(tokens + more, sequences)).toBeGreaterThanOrEqual(base);
          expect(at(tokens, sequences + 1)).toBeGreaterThanOrEqual(base);
        },
      ),
    );
  });

  test("layers add up to the total", () => {
    fc.assert(
      fc.property(withRule(rule), anyTokens, fc.integer({ min: 1, max: 4 }), (shape, tokens, sequences) => {
        const { layers, totalBytes } = sizeReport(shape, { rule, tokens, sequences });
        const sum = layers.reduce((bytes, layer) => bytes + layer.bytes, 0);
        // vLLM pads its groups, and the padding belongs to no layer.
        if (rule === "vllm") expect(sum).toBeLessThanOrEqual(totalBytes);
        else expect(sum).toBe(totalBytes);
      }),
    );
  });

  test("what the inverse gives fits, and one more does not", () => {
    fc.assert(
      fc.property(
        withRule(rule),
        fc.integer({ min: 2 ** 20, max: 2 ** 38 }),
        fc.integer({ min: 1, max: 100_000 }),
        fc.integer({ min: 1, max: 16 }),
        (shape, budgetBytes, tokens, sequences) => {
          const plan = planReport(shape, { rule, budgetBytes, tokens, sequences });
          const fits = (length: number, count: number): boolean =>
            sizeReport(shape, { rule, tokens: length, sequences: count }).largestDeviceBytes <= budgetBytes;
          expect(plan.fits).toBe(fits(tokens, sequences));
          if (plan.maxTokens !== null && plan.maxTokens > 0) expect(fits(plan.maxTokens, 1)).toBe(true);
          if (plan.maxTokens !== null) expect(fits(plan.maxTokens + 1, 1)).toBe(false);
          if (plan.maxContext !== null && plan.maxContext > 0) expect(fits(plan.maxContext, sequences)).toBe(true);
          if (plan.maxContext !== null) expect(fits(plan.maxContext + 1, sequences)).toBe(false);
          if (plan.maxSequences !== null && plan.maxSequences > 0) expect(fits(tokens, plan.maxSequences)).toBe(true);
          if (plan.maxSequences !== null) expect(fits(tokens, plan.maxSequences + 1)).toBe(false);
          if (plan.blocks) expect(plan.blocks.maxBlocks * plan.blocks.bytesPerBlock).toBeLessThanOrEqual(budgetBytes);
        },
      ),
      { numRuns: 60 },
    );
  });

  test("suggestions keep their word", () => {
    fc.assert(
      fc.property(withRule(rule), fc.integer({ min: 2 ** 24, max: 2 ** 34 }), (shape, budgetBytes) => {
        const { suggestions, fits, largestDeviceBytes } = planReport(shape, {
          rule,
          budgetBytes,
          tokens: 131_072,
          sequences: 4,
        });
        if (fits) expect(suggestions).toEqual([]);
        for (const each of suggestions) {
          expect(each.savesBytes).toBe(largestDeviceBytes - each.largestDeviceBytes);
          expect(each.fits).toBe(each.largestDeviceBytes <= budgetBytes);
        }
        const misplaced = suggestions
          .slice(1)
          .filter((each, i) => !standsBefore(suggestions[i] as PlanSuggestion, each));
        expect(misplaced).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });
});

describe("exact", () => {
  test("adds over layers", () => {
    fc.assert(
      fc.property(anyShape, anyFormat, anyTokens, anyBlock, (shape, format, tokens, tokensPerBlock) => {
        const bytesOf = (layers: ModelShape["layers"]): number =>
          sizeOf({ ...shape, layers }, { tokens, format, tokensPerBlock }).totalBytes;
        const half = Math.floor(shape.layers.length / 2);
        const parts = bytesOf(shape.layers.slice(0, half)) + bytesOf(shape.layers.slice(half));
        expect(parts).toBe(bytesOf(shape.layers));
      }),
    );
  });

  test("tensor ranks hold at least the whole, and exactly the whole where everything divides", () => {
    fc.assert(
      fc.property(anyShape, anyTokens, fc.constantFrom(2, 3, 4, 8, 16), (shape, tokens, tensor) => {
        const whole = sizeOf(shape, { tokens }).totalBytes;
        const { totalBytes, largestDeviceBytes } = sizeOf(shape, { tokens, sharding: { tensor } });
        expect(totalBytes).toBe(largestDeviceBytes * tensor);
        expect(totalBytes).toBeGreaterThanOrEqual(whole);
        if (shape.layers.every((layer) => divides(layer, tensor))) expect(totalBytes).toBe(whole);
        if (shape.layers.every(({ kind }) => kind === "latent")) expect(totalBytes).toBe(whole * tensor);
      }),
    );
  });

  test("pipeline stages hold the whole between them", () => {
    fc.assert(
      fc.property(anyShape, anyTokens, fc.integer({ min: 1, max: 8 }), (shape, tokens, pipeline) => {
        fc.pre(pipeline <= Math.max(...shape.layers.map(({ index }) => index)) + 1);
        expect(sizeOf(shape, { tokens, sharding: { pipeline } }).totalBytes).toBe(sizeOf(shape, { tokens }).totalBytes);
      }),
    );
  });

  test("data and context ranks share sequences and tokens", () => {
    fc.assert(
      fc.property(anyShape, fc.integer({ min: 1, max: 64 }), fc.constantFrom(2, 4), (shape, sequences, data) => {
        const { totalBytes, largestDeviceBytes } = sizeOf(shape, { tokens: 8192, sequences, sharding: { data } });
        expect(totalBytes).toBe(sizeOf(shape, { tokens: 8192, sequences }).totalBytes);
        expect(largestDeviceBytes).toBe(
          sizeOf(shape, { tokens: 8192, sequences: Math.ceil(sequences / data) }).totalBytes,
        );
        const split = sizeOf(shape, { tokens: 8192, sharding: { context: data } });
        expect(split.largestDeviceBytes).toBe(sizeOf(shape, { tokens: Math.ceil(8192 / data) }).totalBytes);
      }),
    );
  });

  test("windows stop growing, growth is what one more token adds", () => {
    fc.assert(
      fc.property(anyShape, anyFormat, (shape, format) => {
        const windows = shape.layers.map((layer) =>
          "windowTokens" in layer ? layer.windowTokens : "chunkTokens" in layer ? layer.chunkTokens : 0,
        );
        const beyond = (Math.ceil(Math.max(1, ...windows) / 128) + 1) * 128;
        const step = 128 * 5;
        const grown =
          sizeOf(shape, { tokens: beyond + step, format }).totalBytes -
          sizeOf(shape, { tokens: beyond, format }).totalBytes;
        expect(grown).toBe(growthBytesPerToken(shape, format) * step);
      }),
    );
  });

  test("stages take all layers and differ by at most one", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 300 }), (numLayers, numStages) => {
        fc.pre(numStages <= numLayers);
        const counts = layersPerStage(numLayers, numStages);
        expect(counts.reduce((sum, count) => sum + count, 0)).toBe(numLayers);
        expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
      }),
    );
  });
});

function divides(layer: ModelShape["layers"][number], ranks: number): boolean {
  // Every rank holds an indexer's keys whole.
  if ("indexerKeyDim" in layer && layer.indexerKeyDim > 0) return false;
  if ("numKvHeads" in layer) return layer.numKvHeads % ranks === 0;
  if (layer.kind === "state") {
    const inner = layer.convWidth - layer.convGroups.count * layer.convGroups.width;
    return inner % ranks === 0 && layer.convGroups.count % ranks === 0 && layer.stateElements % ranks === 0;
  }
  return layer.kind === "none" || layer.kind === "shared";
}
