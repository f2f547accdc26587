import { RULES, type RuleName, sizeReport } from "@kv/config";
import { findPreset, presetShape } from "@kv/config/presets";
import { describe, expect, test } from "vitest";
import { ENGINE_KNOBS, type EngineKnob } from "./engine-knobs.ts";

const preset = findPreset("gemma-3-27b-it");
if (preset === undefined) throw new Error("the preset of these tests is gone");
const shape = presetShape(preset);
const size = (rule: RuleName, knobs: Readonly<Record<string, unknown>>): number =>
  sizeReport(shape, { rule, tokens: 4096, knobs }).totalBytes;
const all = Object.entries(ENGINE_KNOBS).flatMap(([rule, knobs]) =>
  knobs.map((knob) => ({ rule: rule as RuleName, knob, name: knob.name })),
);

/** Values that the page can give for a knob. */
function valuesOf(knob: EngineKnob): readonly unknown[] {
  if (knob.kind === "flag") return [true, false];
  if (knob.kind === "choice") return knob.name === "majorVersion" ? knob.choices.map(Number) : knob.choices;
  if (knob.kind === "share") return [0.5];
  if (knob.kind === "counts") return [[1024, 4096]];
  return knob.kind === "shares" ? [[1]] : [8];
}

describe("ENGINE_KNOBS", () => {
  test.each(all)("$rule takes $name with each value that the page offers", ({ rule, knob }) => {
    for (const value of valuesOf(knob)) expect(size(rule, { [knob.name]: value })).toBeGreaterThan(0);
  });

  test.each(all)("$rule takes by itself what the page shows for an empty $name", ({ rule, knob }) => {
    const unset = typeof knob.unset === "string" && /^\d+$/.test(knob.unset) ? Number(knob.unset) : knob.unset;
    const isInWords = typeof unset === "string" && knob.kind !== "choice";
    if (!isInWords) expect(size(rule, { [knob.name]: unset })).toBe(size(rule, {}));
  });

  test.each(Object.keys(RULES) as RuleName[])("%s has no knob that the page lacks", (rule) => {
    const names = ENGINE_KNOBS[rule].map(({ name }) => name);
    const known = (): number => size(rule, { noSuchKnob: 1 });
    expect(known).toThrow("knobs.noSuchKnob");
    const listed = /one of (.*), got/.exec(thrownBy(known))?.[1] ?? "";
    expect(
      listed
        .split(", ")
        .filter((name) => name !== "")
        .toSorted(),
    ).toEqual(names.toSorted());
  });
});

function thrownBy(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    return error instanceof Error ? error.message : "";
  }
  return "";
}
