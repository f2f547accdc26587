import { InvalidConfigError } from "../errors.ts";
import { exactRule } from "./exact.ts";
import { llamaCppRule } from "./llama-cpp.ts";
import type { Rule, RuleName } from "./rule.ts";
import { sglangRule } from "./sglang.ts";
import { tensorRtLlmRule } from "./tensorrt-llm.ts";
import { transformersRule } from "./transformers.ts";
import { vllmRule } from "./vllm.ts";

/** Every rule by its name. */
export const RULES: Readonly<Record<RuleName, Rule>> = {
  exact: exactRule,
  "llama.cpp": llamaCppRule,
  vllm: vllmRule,
  sglang: sglangRule,
  "tensorrt-llm": tensorRtLlmRule,
  transformers: transformersRule,
};

/** The rule of this name. @throws InvalidConfigError if there is none */
export function ruleNamed(name: string): Rule {
  // Whoever asks may pass anything, and not everything can be a key.
  if (typeof name === "string" && Object.hasOwn(RULES, name)) return RULES[name as RuleName];
  throw new InvalidConfigError("rule", name, `one of ${Object.keys(RULES).join(", ")}`);
}
