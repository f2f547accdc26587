import { readFileSync } from "node:fs";
import { type FromHuggingFaceOptions, fromHuggingFace } from "../src/hugging-face/from-hugging-face.ts";
import type { ModelShape } from "../src/model-shape.ts";

/** One model of the fixture: the raw keys of its configuration, and what each layer keeps. */
export interface ModelEntry {
  readonly id: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly kv: {
    readonly perLayerKinds: readonly {
      readonly kind: string;
      readonly layers: number;
      readonly layerIndices?: readonly number[];
    }[];
    readonly bytesPerTokenFp16: number;
    readonly bytesPerTokenAllLayersFp16?: number;
    readonly windowBytesFp16?: number;
    readonly crossBytesPerEncoderTokenFp16?: number;
    readonly crossBytesFp16?: number;
    readonly expandedBytesPerTokenFp16?: number;
    readonly statePerSequence?: { readonly bytesAllF32: number; readonly bytesConv16State32: number };
  };
}

/** The 201 models of the fixture. */
export const MODELS: readonly ModelEntry[] = JSON.parse(
  readFileSync(new URL("fixtures/models.json", import.meta.url), "utf8"),
) as ModelEntry[];

/** The shape of a model of the fixture. */
export function modelShape(id: string, options?: FromHuggingFaceOptions): ModelShape {
  const entry = MODELS.find((model) => model.id === id);
  if (entry === undefined) throw new Error(`no model ${id} in the fixture`);
  return fromHuggingFace(entry.config, options);
}

/** Models whose files say enough to be read. */
export const READABLE: readonly ModelEntry[] = MODELS.filter(
  ({ id }) => id !== "nvidia/Llama-3_1-Nemotron-Ultra-253B-v1",
);
