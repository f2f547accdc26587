import {
  type KvDtype,
  presets,
  type ResolvedKVCacheConfig,
  UnsupportedModelError,
  uniformFullAttention,
  validateConfig,
} from "@kv/config";
import { InputError } from "../input-error.ts";
import { type FoundModel, findModel, withPath } from "./find-model.ts";

/** A model whose layers are all full attention of one width, ready to be allocated. */
export interface UniformModel {
  /** As it was given: a preset's name or a path. */
  readonly name: string;
  readonly source: FoundModel["source"];
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

/** The presets that are checked at a context of their own, shorter than what the model can take. */
export const checkedPresetNames: readonly string[] = Object.keys(presets);

/**
 * Finds a preset, or reads a config.json or a GGUF file.
 *
 * @throws as `findModel`; UnsupportedModelError for a model with layers of another kind too
 */
export async function findUniformModel(name: string, options: CacheOptions): Promise<UniformModel> {
  const preset = checkedPresetNames.find((each) => each === name.toLowerCase()) as keyof typeof presets | undefined;
  return preset === undefined ? uniformOf(await findModel(name), options) : fromPreset(preset, options);
}

function fromPreset(name: keyof typeof presets, { context, dtype }: CacheOptions): UniformModel {
  const preset = presets[name];
  const config = validateConfig({ ...preset, dtype, maxContextLength: context ?? preset.maxContextLength });
  return { name, source: "preset", config, assumptions: [] };
}

function uniformOf({ name, source, shape }: FoundModel, { context, dtype }: CacheOptions): UniformModel {
  const maxContextLength = context ?? shape.maxContextTokens;
  if (maxContextLength === null) {
    throw new InputError("--context", `${name} does not say how long its context is; give --context`);
  }
  try {
    const config = validateConfig(uniformFullAttention(shape, maxContextLength, dtype));
    const assumptions = [...shape.assumptions, ...beyondContext(maxContextLength, shape.maxContextTokens)];
    return { name, source, config, assumptions };
  } catch (error) {
    if (error instanceof UnsupportedModelError) error.message += "; kv size takes every kind";
    throw withPath(name, error);
  }
}

function beyondContext(context: number, maxContextTokens: number | null): string[] {
  if (maxContextTokens === null || context <= maxContextTokens) return [];
  return [`a context of ${context} tokens, although the file says that the model can take ${maxContextTokens}`];
}
