import { fromHuggingFace } from "./hugging-face/from-hugging-face.ts";
import type { ModelShape } from "./model-shape.ts";
import { DENSE_PRESETS } from "./presets/dense.ts";
import { ENCODER_PRESETS } from "./presets/encoder.ts";
import { HYBRID_PRESETS } from "./presets/hybrid.ts";
import { LATENT_PRESETS } from "./presets/latent.ts";
import type { ModelPreset } from "./presets/model-preset.ts";
import { WINDOWED_PRESETS } from "./presets/windowed.ts";

export { CARDS, type Card, findCard } from "./presets/cards.ts";
export type { ModelPreset } from "./presets/model-preset.ts";

/** Well-known models, by family. */
export const MODEL_PRESETS: readonly ModelPreset[] = [
  ...DENSE_PRESETS,
  ...WINDOWED_PRESETS,
  ...LATENT_PRESETS,
  ...HYBRID_PRESETS,
  ...ENCODER_PRESETS,
];

/** The short name of a preset: its repository without the publisher, in lower case, `Meta-` left out. */
export function presetName({ id }: ModelPreset): string {
  return id
    .slice(id.indexOf("/") + 1)
    .toLowerCase()
    .replace(/^meta-/, "");
}

/** The preset with this id or short name; upper and lower case mean the same. */
export function findPreset(name: string): ModelPreset | undefined {
  const wanted = name.toLowerCase();
  return MODEL_PRESETS.find((preset) => preset.id.toLowerCase() === wanted || presetName(preset) === wanted);
}

/** The shape of a preset. */
export function presetShape(preset: ModelPreset): ModelShape {
  return fromHuggingFace(preset.config);
}
