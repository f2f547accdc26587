import type { ConfigReader } from "../config-reader.ts";
import type { KeyValueWidths, LayerShape } from "../layer-shape.ts";
import { chunked, full, layers, numLayersOf, sliding, widthsOf } from "./attention.ts";

/** What a layer attends to. */
export type Reach = "full" | "sliding" | "chunked";

const REACH_OF_TYPE: Readonly<Record<string, Reach>> = {
  full_attention: "full",
  global_attention: "full",
  sliding_attention: "sliding",
  chunked_attention: "chunked",
};

const NEXT_TOKEN_KEYS = ["num_nextn_predict_layers", "mtp_num_hidden_layers", "num_mtp_modules"] as const;

/** Layers that predict further tokens and stand outside the main stack. */
export function numNextTokenLayers(config: ConfigReader): number {
  return config.extraLayers(...NEXT_TOKEN_KEYS);
}

/** The items of `layer_types`, one per layer of the main stack. */
export function layerTypesOf(config: ConfigReader, numLayers: number): readonly string[] | undefined {
  const types = config.list("layer_types", numLayers, numNextTokenLayers(config));
  types?.forEach((type, i) => {
    if (typeof type !== "string") config.invalid(`layer_types[${i}]`, type, "a string");
  });
  return types as readonly string[] | undefined;
}

/** What each layer reaches according to `layer_types`, if the file has that list. */
export function reachesOf(config: ConfigReader, numLayers: number): readonly Reach[] | undefined {
  return layerTypesOf(config, numLayers)?.map((type, i) => {
    const expected = Object.keys(REACH_OF_TYPE).join(", ");
    return Object.hasOwn(REACH_OF_TYPE, type)
      ? (REACH_OF_TYPE[type] as Reach)
      : config.unsupported(`layer_types[${i}]`, type, `one of ${expected}`);
  });
}

/** The layers of a file with `layer_types`; undefined without that list. */
export function readLayerTypes(config: ConfigReader): LayerShape[] | undefined {
  const numLayers = numLayersOf(config);
  const reaches = reachesOf(config, numLayers);
  return reaches && layersReaching(config, reaches, widthsOf(config));
}

/** Layers of one width, each with its reach; the windows are read only where a layer has one. */
export function layersReaching(config: ConfigReader, reaches: readonly Reach[], each: KeyValueWidths): LayerShape[] {
  const windowTokens = reaches.includes("sliding") ? config.tokens("sliding_window") : 0;
  const chunkTokens = reaches.includes("chunked") ? config.tokens("attention_chunk_size") : 0;
  config.ignore("sliding_window", "attention_chunk_size");
  return layers(reaches.length, (index) => {
    if (reaches[index] === "sliding") return sliding(index, each, windowTokens);
    return reaches[index] === "chunked" ? chunked(index, each, chunkTokens) : full(index, each);
  });
}

/** A reach for each layer from a rule. */
export function reachesBy(numLayers: number, isFull: (index: number) => boolean, other: Reach = "sliding"): Reach[] {
  return Array.from({ length: numLayers }, (_, index) => (isFull(index) ? "full" : other));
}
