import { InvalidConfigError, SizeOverflowError, UnsupportedModelError } from "@kv/config";
import type { FieldName } from "../state/planner-state.ts";
import { knobKey } from "./engine-knobs.ts";

/** An error in the library's words, and the input it belongs beside: a field, or a knob by its key. */
export interface FieldError {
  readonly field: FieldName | `${string}.${string}`;
  readonly code: string;
  readonly message: string;
}

/** The inputs behind the names that the library's errors give. */
const INPUT_OF: Readonly<Record<string, FieldName>> = {
  tokens: "context",
  sequences: "sequences",
  encoderTokens: "encoder",
  tokensPerBlock: "block",
  budgetBytes: "memory",
  weightsBytes: "weights",
  reserveBytes: "reserve",
  rule: "rule",
  card: "card",
  model: "model",
  format: "keys",
  "format.keys": "keys",
  "format.indexer": "keys",
  "format.values": "values",
  "sharding.tensor": "tp",
  "sharding.pipeline": "pp",
  "sharding.data": "dp",
  "sharding.context": "cp",
};

/** An error as its input shows it; `input` is where it belongs unless the error itself names another. */
export function fieldError(error: unknown, rule: string, input: FieldError["field"]): FieldError {
  const message = error instanceof Error ? error.message : String(error);
  return { field: inputOf(error, rule) ?? input, code: codeOf(error), message };
}

function inputOf(error: unknown, rule: string): FieldError["field"] | undefined {
  if (error instanceof SizeOverflowError) return "context";
  if (error instanceof UnsupportedModelError) return "rule";
  if (!(error instanceof InvalidConfigError)) return undefined;
  if (error.field.startsWith("knobs."))
    return knobKey(rule, error.field.slice("knobs.".length)) as `${string}.${string}`;
  return Object.hasOwn(INPUT_OF, error.field) ? INPUT_OF[error.field] : undefined;
}

function codeOf(error: unknown): string {
  const code = error instanceof Error ? (error as Error & { readonly code?: unknown }).code : undefined;
  return typeof code === "string" ? code : "UNKNOWN";
}
