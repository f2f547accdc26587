import { existsSync } from "node:fs";
import {
  fromHuggingFace,
  InvalidConfigError,
  type KvDtype,
  presets,
  type ResolvedKVCacheConfig,
  UnsupportedModelError,
  uniformFullAttention,
  validateConfig,
} from "@kv/config";
import { InputError } from "./input-error.ts";
import { readJsonFile } from "./json-file.ts";

/** A model whose layers are all full attention of one width, ready to be allocated. */
export interface UniformModel {
  /** As it was given: a preset's name or a path. */
  readonly name: string;
  readonly source: "preset" | "config.json";
  readonly config: ResolvedKVCacheConfig;
  /** What did not come from the file or the options, one sentence each. */
  readonly assumptions: readonly string[];
}

/** What the options say about the cache of a model. */
export interface CacheOptions {
  /** Tokens; undefined for what the model says. */
  readonly context?: number | undefined;
  readonly dtype: KvDtype;
}

/** The names of the presets that `kv check` takes. */
export const presetNames: readonly string[] = Object.keys(presets);

/**
 * Finds a preset, or reads a config.json.
 *
 * @throws InputError, InvalidConfigError; UnsupportedModelError for a model with layers of another kind
 */
export function findUniformModel(name: string, options: CacheOptions): UniformModel {
  const preset = presetNames.find((each) => each === name.toLowerCase()) as keyof typeof presets | undefined;
  if (preset !== undefined) return fromPreset(preset, options);
  if (existsSync(name)) return fromFile(name, options);
  throw new InputError(
    name,
    `there is no file ${name} and no preset of that name; presets are ${presetNames.join(", ")}`,
  );
}

function fromPreset(name: keyof typeof presets, { context, dtype }: CacheOptions): UniformModel {
  const preset = presets[name];
  const config = validateConfig({ ...preset, dtype, maxContextLength: context ?? preset.maxContextLength });
  return { name, source: "preset", config, assumptions: [] };
}

function fromFile(name: string, { context, dtype }: CacheOptions): UniformModel {
  try {
    const shape = fromHuggingFace(readJsonFile(name));
    const maxContextLength = context ?? shape.maxContextTokens;
    if (maxContextLength === null) {
      throw new InputError("--context", `${name} does not say how long its context is; give --context`);
    }
    const config = validateConfig(uniformFullAttention(shape, maxContextLength, dtype));
    const assumptions = [...shape.assumptions, ...beyondContext(maxContextLength, shape.maxContextTokens)];
    return { name, source: "config.json", config, assumptions };
  } catch (error) {
    throw withPath(name, error);
  }
}

function beyondContext(context: number, maxContextTokens: number | null): string[] {
  if (maxContextTokens === null || context <= maxContextTokens) return [];
  return [`a context of ${context} tokens, although the file says that the model can take ${maxContextTokens}`];
}

/** Which of several files an error of @kv/config is about. */
function withPath(name: string, error: unknown): unknown {
  if (error instanceof InvalidConfigError || error instanceof UnsupportedModelError) {
    error.message = `${name}: ${error.message}`;
  }
  return error;
}
