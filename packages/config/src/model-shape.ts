import type { KvDtype } from "./dtype.ts";
import type { LayerShape } from "./layer-shape.ts";

/**
 * What a model keeps for every sequence it works on: a list of caches, each of one kind. A shape is checked once, so it
 * must not change after it was first used.
 */
export interface ModelShape {
  /** The architecture's name, as its file gives it (`llama`, `gemma3_text`, `deepseek2`). */
  readonly modelType: string;
  /** In the model's order. */
  readonly layers: readonly LayerShape[];
  /** Layers of the encoder, where there is one. They keep nothing between calls, but some engines set rows aside for them. */
  readonly encoderLayers?: number;
  /** Tokens that the model's file says it can take, where it says so. */
  readonly maxContextTokens: number | null;
  /** The weights' dtype: what engines mean by a cache dtype of `auto`. */
  readonly dtype: KvDtype | null;
  /** The dtype the model asks for its recurrent state, where it does. */
  readonly stateDtype: KvDtype | null;
  /** What was not in the file and taken from a default or a rule, one sentence each. */
  readonly assumptions: readonly string[];
}
