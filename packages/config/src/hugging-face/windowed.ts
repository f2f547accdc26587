import type { ConfigReader } from "../config-reader.ts";
import type { KeyValueWidths, LayerShape } from "../layer-shape.ts";
import {
  full,
  headDimOf,
  hiddenWidthOf,
  layers,
  numKvHeadsOf,
  numLayersOf,
  sliding,
  widths,
  widthsOf,
} from "./attention.ts";
import { type Families, named } from "./family.ts";
import { layersReaching, numNextTokenLayers, type Reach, reachesBy, reachesOf } from "./layer-types.ts";

/** Which layers are full when the file has no `layer_types`. */
type Pattern = (config: ConfigReader, numLayers: number) => readonly Reach[];

function interleaved(pattern: Pattern) {
  return (config: ConfigReader): LayerShape[] => {
    const numLayers = numLayersOf(config);
    const reaches = reachesOf(config, numLayers) ?? pattern(config, numLayers);
    config.ignore("sliding_window_pattern", "_sliding_window_pattern", "global_attn_every_n_layers");
    return layersReaching(config, reaches, widthsOf(config));
  };
}

/** Every `period`-th layer is full; the period is a key or the architecture's own. */
function lastOfEach(...keys: readonly string[]): Pattern {
  return (config, numLayers) => {
    const period = config.layerCount(...keys);
    return reachesBy(numLayers, (index) => (index + 1) % period === 0);
  };
}

/** The window holds in all layers or in none. */
const everywhere: Pattern = (config, numLayers) =>
  reachesBy(numLayers, () => config.optionalTokens("sliding_window") === undefined);

/** Qwen: a window only when switched on, and only above the first `max_window_layers`. */
const aboveMaxWindowLayers: Pattern = (config, numLayers) => {
  const used = config.flag("use_sliding_window") === true && config.has("sliding_window");
  config.ignore("sliding_window");
  const first = used ? config.extraLayers("max_window_layers") : numLayers;
  return reachesBy(numLayers, (index) => index < first);
};

/** Phi-3: the engines that serve it keep everything, whatever the window in its file. */
const windowNotHonoured: Pattern = (config, numLayers) => {
  const window = config.optionalTokens("sliding_window");
  const context = config.optionalTokens("max_position_embeddings");
  if (window !== undefined && (context === undefined || window < context)) {
    config.assume(
      `${config.at("sliding_window")} is ${window}: taken as full attention, as llama.cpp serves this family`,
    );
  }
  return reachesBy(numLayers, () => true);
};

/** EXAONE 4: a string such as `LLLG`, or a period; without a window the pattern means nothing. */
const lettersOrPeriod: Pattern = (config, numLayers) => {
  const pattern = config.value("sliding_window_pattern");
  if (!config.has("sliding_window")) return reachesBy(numLayers, () => true);
  if (typeof pattern?.value !== "string") return lastOfEach("sliding_window_pattern")(config, numLayers);
  const letters = pattern.value;
  if (!/^[LG]+$/.test(letters)) config.invalid("sliding_window_pattern", letters, "a string of L and G");
  return reachesBy(numLayers, (index) => letters[index % letters.length] === "G");
};

/** Llama 4: layers without rotary embedding are full, the others see one chunk. */
const chunkedBetweenNoRope: Pattern = (config, numLayers) => {
  const listed = config.anyList("no_rope_layers");
  const isFull = listed?.length ? noRopeIn(config, listed, numLayers) : noRopeEvery(config);
  if (config.values["attention_chunk_size"] === null) return reachesBy(numLayers, () => true);
  return reachesBy(numLayers, isFull, "chunked");
};

function noRopeIn(config: ConfigReader, listed: readonly unknown[], numLayers: number): (index: number) => boolean {
  if (listed.length !== numLayers) config.invalid("no_rope_layers", listed, `a list of ${numLayers}, or empty`);
  listed.forEach((item, i) => {
    if (item !== 0 && item !== 1) config.invalid(`no_rope_layers[${i}]`, item, "0 or 1");
  });
  return (index) => listed[index] === 0;
}

function noRopeEvery(config: ConfigReader): (index: number) => boolean {
  const interval = config.layerCount("no_rope_layer_interval");
  return (index) => (index + 1) % interval === 0;
}

/** MiMo-V2: two geometries, told apart by a list of 0 (full) and 1 (sliding). */
function mimoV2(config: ConfigReader): LayerShape[] {
  const numLayers = numLayersOf(config);
  const pattern =
    config.list("hybrid_layer_pattern", numLayers) ??
    config.missing(["hybrid_layer_pattern"], `a list of ${numLayers}`);
  const fullWidths = widths(
    numKvHeadsOf(config),
    headDimOf(config),
    config.optionalCount("v_head_dim") ?? headDimOf(config),
  );
  const windowWidths = widths(
    config.count("swa_num_key_value_heads"),
    config.count("swa_head_dim", "head_dim"),
    config.count("swa_v_head_dim", "v_head_dim", "swa_head_dim"),
  );
  const windowTokens = config.tokens("sliding_window", "sliding_window_size");
  // The file also has a chunk size of the same number; the layers slide all the same.
  config.ignore("attention_chunk_size");
  return layers(numLayers, (index) => {
    if (pattern[index] === 0) return full(index, fullWidths);
    if (pattern[index] === 1) return sliding(index, windowWidths, windowTokens);
    return config.invalid(`hybrid_layer_pattern[${index}]`, pattern[index], "0 or 1");
  });
}

/** Baichuan-M1: full layers have fewer and wider heads than windowed ones. */
function baichuanM1(config: ConfigReader): LayerShape[] {
  const numLayers = numLayersOf(config);
  const windowed =
    config.layerSet("sliding_window_layers", numLayers) ?? config.missing(["sliding_window_layers"], "a list");
  const windowTokens = config.tokens("sliding_window");
  const heads = config.count("num_swa_attention_heads");
  if (hiddenWidthOf(config) % heads !== 0) config.invalid("num_swa_attention_heads", heads, "a divisor of the width");
  const windowWidths = widths(config.count("num_swa_key_value_heads"), hiddenWidthOf(config) / heads);
  const fullWidths = widthsOf(config);
  return layers(numLayers, (index) =>
    windowed.has(index) ? sliding(index, windowWidths, windowTokens) : full(index, fullWidths),
  );
}

/** Step 3: windowed layers may have their own heads, in `attention_other_setting`. */
function step(config: ConfigReader): LayerShape[] {
  const numLayers = numLayersOf(config);
  const reaches = reachesOf(config, numLayers) ?? config.missing(["layer_types"], `a list of ${numLayers}`);
  const fullWidths = widths(numKvHeadsOf(config, "num_key_value_heads", "num_attention_groups"), headDimOf(config));
  const other = config.nested("attention_other_setting");
  const windowWidths: KeyValueWidths = other
    ? widths(other.count("num_attention_groups"), other.count("head_dim"))
    : fullWidths;
  const windowTokens = reaches.includes("sliding") ? config.tokens("sliding_window") : 0;
  return layers(numLayers, (index) =>
    reaches[index] === "sliding" ? sliding(index, windowWidths, windowTokens) : full(index, fullWidths),
  );
}

/** MiniMax-M2: softmax attention in every layer, which its list of types must confirm. */
function miniMaxM2(config: ConfigReader): LayerShape[] {
  const numLayers = numLayersOf(config);
  config.list("attn_type_list", numLayers, numNextTokenLayers(config))?.forEach((type, i) => {
    if (type !== 1) config.unsupported(`attn_type_list[${i}]`, type, "1 (softmax attention)");
  });
  const each = widthsOf(config);
  return layers(numLayers, (index) => full(index, each));
}

/** Hunyuan: with cross-layer attention only the first of `cla_share_factor` layers has a cache. */
function hunyuan(config: ConfigReader): LayerShape[] {
  const each = widths(numKvHeadsOf(config), headDimOf(config, "head_dim", "attention_head_dim"));
  const shares = config.flag("use_cla") === true;
  const factor = shares ? config.layerCount("cla_share_factor") : 1;
  return layers(numLayersOf(config), (index) =>
    index % factor === 0 ? full(index, each) : { kind: "shared", index, readsLayer: index - (index % factor) },
  );
}

const QWEN = [
  "qwen2",
  "qwen2_moe",
  "qwen2_vl",
  "qwen2_vl_text",
  "qwen2_5_vl",
  "qwen2_5_vl_text",
  "qwen2_5_omni_text",
  "qwen3_vl_text",
  "qwen3_vl_moe_text",
  "qwen3_omni_moe_text",
  "mimo",
  "smollm3",
];

/** Models with windows or chunks in some or all layers, or with caches shared between layers. */
export const windowedFamilies = (): Families => ({
  ...named(QWEN, { read: interleaved(aboveMaxWindowLayers), defaults: { max_window_layers: 28 } }),
  ...named(["qwen3", "qwen3_moe"], {
    read: interleaved(aboveMaxWindowLayers),
    defaults: { max_window_layers: 28, head_dim: 128 },
  }),
  ...named(["mistral"], { read: interleaved(everywhere), defaults: { num_key_value_heads: 8, sliding_window: 4096 } }),
  ...named(["ministral", "ministral3"], { read: interleaved(everywhere) }),
  ...named(["mixtral"], { read: interleaved(everywhere), defaults: { num_key_value_heads: 8 } }),
  ...named(["starcoder2"], { read: interleaved(everywhere), defaults: { num_key_value_heads: 2 } }),
  ...named(["phi3", "phimoe", "phi4_multimodal", "phi4mm"], { read: interleaved(windowNotHonoured) }),
  ...named(["gemma2"], {
    read: interleaved((_config, numLayers) => reachesBy(numLayers, (index) => index % 2 === 1)),
    defaults: { head_dim: 256, sliding_window: 4096 },
  }),
  ...named(["gemma3_text"], {
    read: interleaved(lastOfEach("sliding_window_pattern", "_sliding_window_pattern")),
    defaults: {
      num_attention_heads: 8,
      num_key_value_heads: 4,
      head_dim: 256,
      sliding_window: 4096,
      sliding_window_pattern: 6,
    },
  }),
  ...named(["gpt_oss"], {
    read: interleaved((_config, numLayers) => reachesBy(numLayers, (index) => index % 2 === 1)),
    defaults: { sliding_window: 128, head_dim: 64, num_key_value_heads: 8 },
  }),
  ...named(["cohere2"], {
    read: interleaved(lastOfEach("sliding_window_pattern")),
    defaults: { sliding_window: 4096, sliding_window_pattern: 4 },
  }),
  ...named(["exaone4", "exaone_moe"], { read: interleaved(lettersOrPeriod) }),
  ...named(["olmo3"], {
    read: interleaved((_config, numLayers) => reachesBy(numLayers, (index) => (index + 1) % 4 === 0)),
    defaults: { sliding_window: 4096 },
  }),
  ...named(["cwm"], { read: interleaved((_config, numLayers) => reachesBy(numLayers, (index) => index % 4 === 0)) }),
  ...named(["afmoe"], { read: interleaved(lastOfEach("global_attn_every_n_layers")) }),
  ...named(["llama4_text"], {
    read: interleaved(chunkedBetweenNoRope),
    defaults: { attention_chunk_size: 8192, no_rope_layer_interval: 4, head_dim: 128, num_key_value_heads: 8 },
  }),
  ...named(["mimo_v2_flash", "mimo_v2"], { read: mimoV2 }),
  ...named(["baichuan_m1"], { read: baichuanM1 }),
  ...named(["step3p5", "step3p7"], { read: step }),
  ...named(["minimax_m2"], { read: miniMaxM2 }),
  ...named(["hunyuan", "hunyuan_v1_moe", "hunyuan_v1_dense"], { read: hunyuan }),
});
