import { MODEL_PRESETS, presetName } from "@kv/config/presets";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DEFAULT_STATE, FIELD_NAMES, OTHER_CARD, OWN_MODEL, type PlannerState } from "../state/planner-state.ts";
import { type Outcome, planOfState } from "./plan-of-state.ts";

const planned = (change: Partial<PlannerState>): Outcome => planOfState({ ...DEFAULT_STATE, ...change });
const errorsOf = (change: Partial<PlannerState>): unknown[] =>
  planned(change).errors.map(({ field, code }) => [field, code]);

describe("planOfState", () => {
  test("plans what the page opens with", () => {
    const { plan } = planned({});
    expect(plan?.report).toMatchObject({
      model: "llama-3-8b",
      rule: "exact",
      tokens: 8192,
      sequences: 8,
      totalBytes: 8 * 2 ** 30,
      budgetBytes: 24_564 * 2 ** 20,
      fits: true,
    });
  });

  test.each(MODEL_PRESETS.map((preset) => presetName(preset)))("plans the preset %s", (model) => {
    const { plan, errors } = planned({ model });
    expect(errors).toEqual([]);
    expect(plan?.report.totalBytes).toBeGreaterThan(0);
  });

  test("gives keys and values types of their own", () => {
    expect(planned({ keys: "fp16", values: "fp8_e4m3" }).plan?.report).toMatchObject({
      dtype: "fp16/fp8_e4m3",
      totalBytes: 6 * 2 ** 30,
    });
  });

  test("spreads over ranks, and an empty context is the model's own", () => {
    const { plan } = planned({ tp: "2", pp: "2", dp: "2", context: "", weights: "16GB" });
    expect(plan?.report).toMatchObject({ numDevices: 8, tokens: 8192, weightsBytes: 4e9 });
    expect(plan?.report.largestDeviceBytes).toBe(2 ** 30);
  });

  test("gives a rule its own knobs and keeps those of others back", () => {
    const knobs = { "llama.cpp.swaFull": "true", "vllm.blockSize": "bad" };
    const change = { model: "gemma-3-27b-it", rule: "llama.cpp", knobs };
    const full = planned(change).plan?.report.totalBytes ?? 0;
    expect(full).toBeGreaterThan(2 * (planned({ ...change, knobs: {} }).plan?.report.totalBytes ?? 0));
  });

  test("reads a config.json, GGUF metadata, and names them by their file", () => {
    const source = JSON.stringify({
      "general.architecture": "llama",
      "llama.block_count": 2,
      "llama.embedding_length": 64,
      "llama.attention.head_count": 4,
      "llama.attention.head_count_kv": 2,
      "llama.context_length": 512,
    });
    const { plan } = planned({ model: OWN_MODEL, source, file: "small.gguf", context: "", sequences: "1" });
    expect(plan?.report).toMatchObject({ model: "small.gguf", tokens: 512, totalBytes: 2 * 2 * 2 * 16 * 2 * 512 });
  });
});

describe("an error of the library stands beside its input", () => {
  test.each([
    ["context", { context: "-5" }, "INVALID_CONFIG"],
    ["context", { context: "0.5" }, "INVALID_CONFIG"],
    ["context", { context: "9007199254740991" }, "SIZE_OVERFLOW"],
    ["sequences", { sequences: "many" }, "INVALID_CONFIG"],
    ["encoder", { encoder: "-1" }, "INVALID_CONFIG"],
    ["keys", { keys: "fp7" }, "INVALID_CONFIG"],
    ["values", { values: "fp7" }, "INVALID_CONFIG"],
    ["keys", { keys: "fp8_ds_mla" }, "INVALID_CONFIG"],
    ["tp", { tp: "0" }, "INVALID_CONFIG"],
    ["pp", { pp: "33" }, "INVALID_CONFIG"],
    ["dp", { dp: "x" }, "INVALID_CONFIG"],
    ["cp", { cp: "1.5" }, "INVALID_CONFIG"],
    ["block", { block: "0" }, "INVALID_CONFIG"],
    ["card", { card: "abacus" }, "INVALID_CONFIG"],
    ["memory", { card: OTHER_CARD, memory: "80G" }, "INVALID_CONFIG"],
    ["weights", { weights: "heavy" }, "INVALID_CONFIG"],
    ["reserve", { reserve: "-1GiB" }, "INVALID_CONFIG"],
    ["rule", { rule: "abacus" }, "INVALID_CONFIG"],
    ["tp", { rule: "llama.cpp", tp: "2" }, "INVALID_CONFIG"],
    ["rule", { rule: "llama.cpp", model: "whisper-large-v3" }, "UNSUPPORTED_MODEL"],
    ["vllm.blockSize", { rule: "vllm", knobs: { "vllm.blockSize": "0" } }, "INVALID_CONFIG"],
    ["llama.cpp.swaFull", { rule: "llama.cpp", knobs: { "llama.cpp.swaFull": "maybe" } }, "INVALID_CONFIG"],
    ["model", { model: "no-such-model" }, "INVALID_CONFIG"],
    ["source", { model: OWN_MODEL, source: "" }, "INVALID_CONFIG"],
    ["source", { model: OWN_MODEL, source: '{"model_type": "lla' }, "INVALID_CONFIG"],
    ["source", { model: OWN_MODEL, source: "null" }, "INVALID_CONFIG"],
    ["source", { model: OWN_MODEL, source: '{"model_type": "abacus"}' }, "UNSUPPORTED_MODEL"],
  ])("%s: %j", (field, change, code) => {
    expect(errorsOf(change)).toEqual([[field, code]]);
  });

  test("and all of them at once", () => {
    const knobs = { "vllm.blockSize": "0", "vllm.maxModelLen": "-1" };
    const wrong = { weights: "heavy", context: "-5", sequences: "x", tp: "0", keys: "fp7", rule: "vllm", knobs };
    const fields = planned(wrong).errors.map(({ field }) => field);
    const expected = ["context", "keys", "sequences", "tp", "vllm.blockSize", "vllm.maxModelLen", "weights"];
    expect(fields).toHaveLength(expected.length);
    expect(new Set(fields)).toEqual(new Set(expected));
  });

  test("whatever is typed", () => {
    const anyValue = fc.oneof(
      fc.string(),
      fc.constantFrom("", "-1", "1e400", "0", "fp16", "8GiB", "true", "own", "other"),
    );
    const fields = Object.fromEntries(FIELD_NAMES.map((field) => [field, anyValue]));
    fc.assert(
      fc.property(fc.record(fields, { requiredKeys: [] }), (change) => {
        const { plan, errors } = planned(change);
        expect(plan === null).toBe(errors.length > 0);
        for (const { message } of errors) expect(message).not.toBe("");
      }),
    );
  });
});
