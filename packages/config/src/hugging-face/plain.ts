import type { ConfigReader } from "../config-reader.ts";
import type { LayerShape } from "../layer-shape.ts";
import { full, headDimOf, layers, numKvHeadsOf, numLayersOf, numQueryHeadsOf, widths, widthsOf } from "./attention.ts";
import { type Families, named } from "./family.ts";
import { readLayerTypes } from "./layer-types.ts";

/** Every layer full, K and V of one width; a `layer_types` list may say otherwise. */
function plain(config: ConfigReader): LayerShape[] {
  return readLayerTypes(config) ?? uniform(config);
}

function uniform(config: ConfigReader): LayerShape[] {
  const each = widthsOf(config);
  return layers(numLayersOf(config), (index) => full(index, each));
}

/** As many KV heads as query heads: the architecture knows no other. */
function multiHead(...headDimKeys: readonly string[]) {
  return (config: ConfigReader): LayerShape[] => {
    const each = widths(numQueryHeadsOf(config), headDimOf(config, ...headDimKeys));
    return layers(numLayersOf(config), (index) => full(index, each));
  };
}

/** GPT-Neo: every second layer masks what is older than its window, but keeps it. */
function gptNeo(config: ConfigReader): LayerShape[] {
  config.assume("local layers are kept in full, as transformers keeps them");
  return multiHead()(config);
}

/** JetMoE: the experts are query heads, so that KV heads and their size are given apart from the width. */
function kvChannels(config: ConfigReader): LayerShape[] {
  const each = widths(config.count("num_key_value_heads"), config.count("kv_channels"));
  return layers(numLayersOf(config), (index) => full(index, each));
}

/** Falcon: grouped heads only in the new decoder architecture, otherwise one head or all of them. */
function falcon(config: ConfigReader): LayerShape[] {
  const heads = numQueryHeadsOf(config);
  const each = widths(falconKvHeads(config, heads), headDimOf(config));
  return layers(numLayersOf(config), (index) => full(index, each));
}

function falconKvHeads(config: ConfigReader, heads: number): number {
  // The first files (RefinedWeb) have no switch: there, a group count is meant.
  const grouped = config.flag("new_decoder_architecture") ?? config.has("n_head_kv");
  const multiQuery = config.flag("multi_query");
  if (grouped) return numKvHeadsOf(config, "num_kv_heads", "n_head_kv");
  config.ignore("num_kv_heads", "n_head_kv");
  return multiQuery === false ? heads : 1;
}

function bigCode(config: ConfigReader): LayerShape[] {
  const heads = config.flag("multi_query") === false ? numQueryHeadsOf(config) : 1;
  const each = widths(heads, headDimOf(config));
  return layers(numLayersOf(config), (index) => full(index, each));
}

function chatGlm(config: ConfigReader): LayerShape[] {
  const grouped = config.flag("multi_query_attention") === true;
  config.ignore("multi_query_group_num");
  const heads = grouped ? numKvHeadsOf(config, "multi_query_group_num") : numQueryHeadsOf(config);
  const each = widths(heads, headDimOf(config, "kv_channels"));
  return layers(numLayersOf(config), (index) => full(index, each));
}

/** MPT and DBRX keep the KV heads in `attn_config`. */
function attentionConfig(config: ConfigReader): LayerShape[] {
  const heads = numQueryHeadsOf(config);
  const each = widths(attentionConfigKvHeads(config, heads), headDimOf(config));
  return layers(numLayersOf(config), (index) => full(index, each));
}

function attentionConfigKvHeads(config: ConfigReader, heads: number): number {
  const attention = config.nested("attn_config");
  if (attention?.text("attn_type") === "multiquery_attention") return 1;
  const grouped = attention?.optionalCount("kv_n_heads");
  if (grouped === undefined) return heads;
  return heads % grouped === 0 ? grouped : config.invalid("attn_config.kv_n_heads", grouped, `a divisor of ${heads}`);
}

function openElm(config: ConfigReader): LayerShape[] {
  const numLayers = config.layerCount("num_transformer_layers");
  return perLayerHeads(config, "num_kv_heads", numLayers, config.count("head_dim"));
}

function deci(config: ConfigReader): LayerShape[] {
  return perLayerHeads(config, "num_key_value_heads_per_layer", numLayersOf(config), headDimOf(config));
}

function perLayerHeads(config: ConfigReader, key: string, numLayers: number, headDim: number): LayerShape[] {
  const heads = config.list(key, numLayers) ?? config.missing([key], `a list of ${numLayers} counts`);
  return layers(numLayers, (index) => {
    const value = heads[index];
    if (Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= 131_072) {
      return full(index, widths(value as number, headDim));
    }
    return config.invalid(`${key}[${index}]`, value, "a whole number from 1 to 131072");
  });
}

/** Nemotron found by architecture search: every block says what attention it has. */
function nemotronNas(config: ConfigReader): LayerShape[] {
  const numLayers = numLayersOf(config);
  const heads = numQueryHeadsOf(config);
  const headDim = headDimOf(config);
  config.ignore("num_key_value_heads");
  const blocks =
    config.list("block_configs", numLayers) ??
    config.missing(["block_configs"], `a list of ${numLayers} blocks, which alone says what layers attend`);
  return layers(numLayers, (index) => nasBlock(config, blocks[index], index, heads, headDim));
}

function nasBlock(config: ConfigReader, block: unknown, index: number, heads: number, headDim: number): LayerShape {
  const attention = config.item(`block_configs[${index}]`, block).nested("attention");
  if (attention === undefined) return config.missing([`block_configs[${index}].attention`], "an object");
  if (attention.flag("no_op") === true || attention.flag("replace_with_linear") === true)
    return { kind: "none", index };
  if (attention.has("window_length")) attention.unsupported("window_length", attention.values["window_length"], "null");
  const queryHeadsPerKvHead = attention.count("n_heads_in_group");
  if (heads % queryHeadsPerKvHead !== 0)
    attention.invalid("n_heads_in_group", queryHeadsPerKvHead, `a divisor of ${heads}`);
  return full(index, widths(heads / queryHeadsPerKvHead, headDim));
}

/** Encoders keep nothing between calls. */
function encoderOnly(config: ConfigReader): LayerShape[] {
  return layers(numLayersOf(config), (index) => ({ kind: "none", index }));
}

const PLAIN = [
  "llama",
  "olmo",
  "hf_olmo",
  "olmo2",
  "olmoe",
  "phi",
  "stablelm",
  "internlm",
  "internlm2",
  "internlm3",
  "cohere",
  "granite",
  "granitemoe",
  "bitnet",
  "glm",
  "glm4",
  "glm4_moe",
  "ernie4_5",
  "ernie4_5_moe",
  "seed_oss",
  "nemotron",
  "exaone",
  "minicpm",
  "deepseek",
  "Yi",
  "aquila",
  "arcee",
  "apertus",
  "helium",
  "dots1",
  "solar",
  "aria_text",
  "arctic",
  "bailing_moe",
  "chameleon",
  "diffllama",
  "emu3_text_model",
  "ernie4_5_vl_moe_text",
  "flex_olmo",
  "glm4v_moe_text",
  "glm4v_text",
  "granitemoeshared",
  "grok-1",
  "hyperclovax",
  "internlmxcomposer2",
  "jais2",
  "minicpmo",
  "minicpmv",
  "mobilellm",
  "nanochat",
  "orion",
  "paddleocr_vl",
  "skywork",
  "stablelm_epoch",
  "vaultgemma",
  "xverse",
];

const MULTI_HEAD = [
  "opt",
  "gpt_neox",
  "gpt_neox_japanese",
  "gpt2",
  "gptj",
  "bloom",
  "baichuan",
  "biogpt",
  "codegen",
  "ctrl",
  "jais",
  "persimmon",
  "xglm",
];

const ENCODERS = [
  "albert",
  "bert",
  "camembert",
  "deberta",
  "deberta-v2",
  "distilbert",
  "electra",
  "eurobert",
  "modernbert",
  "mpnet",
  "nomic_bert",
  "roberta",
  "xlm-roberta",
  "xlm-roberta-xl",
];

/** Models whose layers are all of one kind, whatever their keys are called. */
export const plainFamilies = (): Families => ({
  ...named(PLAIN, { read: plain }),
  ...named(["gemma"], { read: plain, defaults: { head_dim: 256 } }),
  ...named(MULTI_HEAD, { read: multiHead() }),
  ...named(["gpt_neo"], { read: gptNeo }),
  ...named(["jetmoe"], { read: kvChannels }),
  ...named(["qwen"], { read: multiHead("kv_channels") }),
  ...named(["chatglm"], { read: chatGlm }),
  ...named(["falcon", "RefinedWeb", "RefinedWebModel"], { read: falcon }),
  ...named(["gpt_bigcode"], { read: bigCode }),
  ...named(["mpt", "dbrx"], { read: attentionConfig }),
  ...named(["openelm"], { read: openElm }),
  ...named(["deci", "DeciLM"], { read: deci }),
  ...named(["nemotron-nas"], { read: nemotronNas }),
  ...named(ENCODERS, { read: encoderOnly }),
});
