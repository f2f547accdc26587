import { fromGguf, fromHuggingFace, InvalidConfigError, type ModelShape } from "@kv/config";
import { findPreset, presetName } from "@kv/config/presets";
import { OWN_MODEL, type PlannerState } from "../state/planner-state.ts";

/** A model as reports name it. */
export interface NamedModel {
  readonly name: string;
  readonly shape: ModelShape;
}

let last: { readonly key: string; readonly model: NamedModel } | undefined;

/**
 * The model that a state asks for: a preset, or what stands in its text. The last one is kept, because the library
 * remembers what it found out about a shape.
 *
 * @throws InvalidConfigError, UnsupportedModelError
 */
export function modelOfState({ model, source, file, mtp }: PlannerState): NamedModel {
  const key = JSON.stringify([model, source, file, mtp]);
  if (last?.key === key) return last.model;
  const nextTokenLayers = mtp === "true";
  const made = model === OWN_MODEL ? ownModel(source, file, nextTokenLayers) : presetModel(model, nextTokenLayers);
  last = { key, model: made };
  return made;
}

function presetModel(name: string, nextTokenLayers: boolean): NamedModel {
  const preset = findPreset(name);
  if (preset === undefined) throw new InvalidConfigError("model", name, "one of the presets, or your own");
  return { name: presetName(preset), shape: fromHuggingFace(preset.config, { nextTokenLayers }) };
}

function ownModel(source: string, file: string, nextTokenLayers: boolean): NamedModel {
  const values = parsed(source);
  const isGguf = typeof values === "object" && values !== null && Object.hasOwn(values, "general.architecture");
  const shape = isGguf ? fromGguf(values) : fromHuggingFace(values, { nextTokenLayers });
  return { name: file === "" ? shape.modelType : file, shape };
}

function parsed(source: string): unknown {
  if (source.trim() === "") throw new InvalidConfigError("config", source, "the text of a config.json, or a GGUF file");
  try {
    return JSON.parse(source);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new InvalidConfigError("config", source, `JSON (${reason})`);
  }
}
