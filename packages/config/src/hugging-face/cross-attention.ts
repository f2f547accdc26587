import type { ConfigReader } from "../config-reader.ts";
import type { CrossLayer, KeyValueWidths, LayerShape } from "../layer-shape.ts";
import { full, layers, numLayersOf, widths, widthsOf } from "./attention.ts";
import { type Families, named } from "./family.ts";

/** Patches of one tile of an image (40 × 40 and a class token) times tiles of one image, in Llama 3.2 Vision. */
const LLAMA_VISION_POSITIONS = 1601 * 4;

function cross(
  index: number,
  { numKvHeads, keyDim, valueDim }: KeyValueWidths,
  encoderTokens: number | null,
): CrossLayer {
  return { kind: "cross", index, numKvHeads, keyDim, valueDim, encoderTokens };
}

/** A decoder layer keeps its own tokens and the encoder's. The encoder itself keeps nothing. */
function decoder(numLayers: number, each: KeyValueWidths, encoderTokens: number | null): LayerShape[] {
  return layers(numLayers, (index) => full(index, each)).flatMap((layer) => [
    layer,
    cross(layer.index, each, encoderTokens),
  ]);
}

function dividedWidths(config: ConfigReader): KeyValueWidths {
  const heads = config.count("decoder_attention_heads");
  const width = config.count("d_model");
  if (width % heads !== 0) config.invalid("decoder_attention_heads", heads, `a divisor of d_model, ${width}`);
  return widths(heads, width / heads);
}

function whisper(config: ConfigReader): LayerShape[] {
  return decoder(config.layerCount("decoder_layers"), dividedWidths(config), config.tokens("max_source_positions"));
}

function bart(config: ConfigReader): LayerShape[] {
  return decoder(config.layerCount("decoder_layers"), dividedWidths(config), null);
}

/** T5: the inner width is heads × `d_kv`, whatever `d_model` is. */
function t5(config: ConfigReader): LayerShape[] {
  const each = widths(config.count("num_heads"), config.count("d_kv"));
  return decoder(config.layerCount("num_decoder_layers", "num_layers"), each, null);
}

/** Llama 3.2 Vision: some layers look at the image only, and keep nothing of the text. */
function mllama(config: ConfigReader): LayerShape[] {
  const numLayers = numLayersOf(config);
  const looks =
    config.layerSet("cross_attention_layers", numLayers) ?? config.missing(["cross_attention_layers"], "a list");
  const each = widthsOf(config);
  config.assume(`one image of ${LLAMA_VISION_POSITIONS} positions: 4 tiles of 1601 patches`);
  return layers(numLayers, (index) =>
    looks.has(index) ? cross(index, each, LLAMA_VISION_POSITIONS) : full(index, each),
  );
}

/** Models that keep an encoder's tokens beside their own. */
export const crossAttentionFamilies = (): Families => ({
  ...named(["whisper"], { read: whisper }),
  ...named(["bart", "mbart", "pegasus", "marian", "m2m_100", "blenderbot", "led", "nllb-moe", "plbart"], {
    read: bart,
  }),
  ...named(["t5", "mt5", "umt5", "longt5", "switch_transformers"], { read: t5 }),
  ...named(["mllama_text_model"], { read: mllama }),
});
