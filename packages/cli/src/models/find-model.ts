import { existsSync } from "node:fs";
import {
  type FromHuggingFaceOptions,
  fromHuggingFace,
  InvalidConfigError,
  type ModelShape,
  UnsupportedModelError,
} from "@kv/config";
import { readGgufFile } from "@kv/config/gguf";
import { findPreset, MODEL_PRESETS, presetName } from "@kv/config/presets";
import { InputError } from "../input-error.ts";
import { readJsonFile } from "./json-file.ts";

/** A model and where it was found. */
export interface FoundModel {
  /** As it was given. */
  readonly name: string;
  readonly source: "preset" | "config.json" | "gguf";
  readonly shape: ModelShape;
  /** Bytes of the weights, where the file holds them. */
  readonly weightsBytes: number | undefined;
}

const MOST_LIKELY = 8;

/**
 * Finds a preset by its name, or reads a config.json (of a folder, the one in it) or a GGUF file.
 *
 * @throws InputError, GgufReadError, InvalidConfigError, UnsupportedModelError, each naming the file
 */
export async function findModel(name: string, options: FromHuggingFaceOptions = {}): Promise<FoundModel> {
  const preset = findPreset(name);
  if (preset !== undefined) {
    const shape = fromHuggingFace(preset.config, options);
    return { name, source: "preset", shape, weightsBytes: undefined };
  }
  if (!existsSync(name))
    throw new InputError(name, `there is no file ${name} and no preset of that name${similarTo(name)}`);
  try {
    if (name.toLowerCase().endsWith(".gguf")) {
      const { shape, weightsBytes } = await readGgufFile(name);
      return { name, source: "gguf", shape, weightsBytes };
    }
    const shape = fromHuggingFace(readJsonFile(name), options);
    return { name, source: "config.json", shape, weightsBytes: undefined };
  } catch (error) {
    throw withPath(name, error);
  }
}

/** The names of all presets, in the order of their families. */
export function presetNames(): string[] {
  return MODEL_PRESETS.map(presetName);
}

/** Says which of several files an error of @kv/config is about. */
export function withPath(name: string, error: unknown): unknown {
  if (error instanceof InvalidConfigError || error instanceof UnsupportedModelError) {
    error.message = `${name}: ${error.message}`;
  }
  return error;
}

/** Presets that a wrong name may have meant: those that share its longest word. */
function similarTo(name: string): string {
  const words = name.toLowerCase().split(/[^a-z0-9]+/);
  const similar = presetNames().filter((preset) => words.some((word) => word.length > 2 && preset.includes(word)));
  if (similar.length === 0) return "; kv size --help lists the presets";
  return `; presets with such a name are ${similar.slice(0, MOST_LIKELY).join(", ")}`;
}
