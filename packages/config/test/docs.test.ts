import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { growthBytesPerToken, windowBytes } from "../src/cache-size.ts";
import { LAYER_KINDS } from "../src/layer-shape.ts";
import { RULES } from "../src/rules/rules.ts";
import { sizeReport } from "../src/size-report.ts";
import { modelShape } from "./models.ts";

const page = (name: string): string => readFileSync(new URL(`../../../docs/${name}`, import.meta.url), "utf8");

describe("the pages on kinds of layers", () => {
  test.each(LAYER_KINDS)("%s has a formula and a source", (kind) => {
    const text = page(`layer-kinds/${kind}.md`);
    expect(text).toMatch(new RegExp(`^# ${kind}\n`));
    expect(text).toContain("```text");
    expect(text).toMatch(/^Sources?: \[/m);
    expect(page("layer-kinds/README.md")).toContain(`[${kind}](${kind}.md)`);
  });

  test("quote figures that the library computes", () => {
    const figure = (value: number): string => value.toLocaleString("en-US");
    expect(page("layer-kinds/full.md")).toContain(
      figure(growthBytesPerToken(modelShape("meta-llama/Meta-Llama-3-8B"))),
    );
    expect(page("layer-kinds/sliding.md")).toContain(figure(windowBytes(modelShape("google/gemma-3-27b-it"))));
    expect(page("layer-kinds/latent.md")).toContain(figure(growthBytesPerToken(modelShape("deepseek-ai/DeepSeek-V3"))));
    expect(page("layer-kinds/compressed.md")).toContain(
      figure(growthBytesPerToken(modelShape("deepseek-ai/DeepSeek-V4-Flash"))),
    );
  });
});

describe("the engine profiles", () => {
  test.each(Object.values(RULES))("$name has a page with its version, sources and knobs", (rule) => {
    const text = page(`engine-profiles/${rule.name}.md`);
    if (rule.name !== "exact") {
      expect(text).toContain(rule.version);
      for (const url of rule.documentation) expect(text).toContain(url);
    }
    for (const knob of knobsOf(rule.name)) {
      expect(text).toContain(`\`${knob}\``);
      expect(page("engine-profiles/README.md")).toContain(`\`${knob}\``);
    }
  });
});

/** The knobs that a rule names when it refuses one. */
function knobsOf(rule: keyof typeof RULES): readonly string[] {
  try {
    sizeReport(modelShape("meta-llama/Meta-Llama-3-8B"), { rule, knobs: { noSuchKnob: 1 } });
  } catch (error) {
    const { allowed } = error as { allowed: string };
    return allowed.match(/\b[a-z]+(?:[A-Z][A-Za-z]*)+\b|\bparallel\b|\bmla\b|\bcache\b/g) ?? [];
  }
  throw new Error("a knob that nobody knows was taken");
}
