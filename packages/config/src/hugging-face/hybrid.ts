import { type ConfigReader, checkedCount } from "../config-reader.ts";
import type { LayerShape } from "../layer-shape.ts";
import {
  full,
  headDimOf,
  hiddenWidthOf,
  layers,
  numKvHeadsOf,
  numLayersOf,
  numQueryHeadsOf,
  sliding,
  widths,
  widthsOf,
} from "./attention.ts";
import { type Families, named } from "./family.ts";
import { latentAt, latentLayer } from "./latent.ts";
import { layerTypesOf } from "./layer-types.ts";
import { gatedDeltaNet, innerWidth, mamba1, mamba2, mamba2ByHeads, type State, state, stateAt } from "./recurrent.ts";

/** Full attention where `isAttention` says so, a recurrent state elsewhere. */
function mixed(config: ConfigReader, each: State, isAttention: (index: number) => boolean): LayerShape[] {
  const attention = widthsOf(config);
  return layers(numLayersOf(config), (index) => (isAttention(index) ? full(index, attention) : stateAt(index, each)));
}

/** Which layers attend, from `layer_types` with these two words. */
function byTypes(config: ConfigReader, attention: string, other: string): ((index: number) => boolean) | undefined {
  const types = layerTypesOf(config, numLayersOf(config));
  types?.forEach((type, i) => {
    if (type !== attention && type !== other) config.unsupported(`layer_types[${i}]`, type, `${attention} or ${other}`);
  });
  return types && ((index) => types[index] === attention);
}

function jamba(config: ConfigReader): LayerShape[] {
  const period = config.layerCount("attn_layer_period");
  const offset = config.extraLayers("attn_layer_offset");
  if (offset >= period) config.invalid("attn_layer_offset", offset, `below attn_layer_period, ${period}`);
  const inner = config.count("mamba_expand") * hiddenWidthOf(config);
  const each = mamba1(inner, config.count("mamba_d_conv"), config.count("mamba_d_state"));
  return mixed(config, each, (index) => index % period === offset);
}

function deltaNet(config: ConfigReader): LayerShape[] {
  const interval = config.optionalLayerCount("full_attention_interval");
  const listed = byTypes(config, "full_attention", "linear_attention");
  if (listed) return mixed(config, gatedDeltaNet(config), listed);
  if (interval === undefined) return config.missing(["layer_types", "full_attention_interval"], "given");
  return mixed(config, gatedDeltaNet(config), (index) => (index + 1) % interval === 0);
}

/** What the letters and words of Nemotron-H's patterns mean. */
const NEMOTRON_BLOCKS: Readonly<Record<string, "attention" | "mamba" | "none">> = {
  "*": "attention",
  attention: "attention",
  M: "mamba",
  mamba: "mamba",
  "-": "none",
  mlp: "none",
  E: "none",
  moe: "none",
};

function nemotronH(config: ConfigReader): LayerShape[] {
  const { key, blocks } = nemotronBlocks(config);
  const given = config.optionalLayerCount("num_hidden_layers") ?? blocks.length;
  if (given !== blocks.length) config.invalid(key, blocks, `${given} blocks, as num_hidden_layers says`);
  config.ignore("sliding_window");
  const attention = widths(numKvHeadsOf(config), headDimOf(config, "head_dim", "attention_head_dim"));
  const inner = config.count("mamba_num_heads") * config.count("mamba_head_dim");
  const mamba = mamba2(inner, config.count("n_groups"), config.count("ssm_state_size"), config.count("conv_kernel"));
  return layers(blocks.length, (index) => {
    const block = blocks[index] as string;
    if (!Object.hasOwn(NEMOTRON_BLOCKS, block))
      config.unsupported(`${key}[${index}]`, block, Object.keys(NEMOTRON_BLOCKS).join(" "));
    if (NEMOTRON_BLOCKS[block] === "attention") return full(index, attention);
    return NEMOTRON_BLOCKS[block] === "mamba" ? stateAt(index, mamba) : { kind: "none", index };
  });
}

function nemotronBlocks(config: ConfigReader): { readonly key: string; readonly blocks: readonly unknown[] } {
  const pattern = config.text("hybrid_override_pattern");
  const listed = config.anyList("layers_block_type");
  const key = pattern === undefined ? "layers_block_type" : "hybrid_override_pattern";
  const blocks = pattern === undefined ? listed : [...pattern];
  if (blocks === undefined || blocks.length === 0)
    return config.missing(["hybrid_override_pattern", "layers_block_type"], "given");
  checkedCount(`${config.at(key)}.length`, blocks.length, 10_000);
  blocks.forEach((block, i) => {
    if (typeof block !== "string") config.invalid(`${key}[${i}]`, block, "a string");
  });
  return { key, blocks };
}

function granite(config: ConfigReader): LayerShape[] {
  const isAttention = byTypes(config, "attention", "mamba") ?? config.missing(["layer_types"], "a list");
  return mixed(config, mamba2ByHeads(config), isAttention);
}

function bamba(config: ConfigReader): LayerShape[] {
  const attends =
    config.layerSet("attn_layer_indices", numLayersOf(config)) ?? config.missing(["attn_layer_indices"], "a list");
  return mixed(config, mamba2ByHeads(config), (index) => attends.has(index));
}

/** Zamba2: Mamba-2 in every layer; the hybrid ones also attend, over twice the width. Shared weights are not a shared cache. */
function zamba2(config: ConfigReader): LayerShape[] {
  const attends =
    config.layerSet("hybrid_layer_ids", numLayersOf(config)) ?? config.missing(["hybrid_layer_ids"], "a list");
  const headDim = config.optionalCount("attention_head_dim") ?? (2 * hiddenWidthOf(config)) / numQueryHeadsOf(config);
  const attention = widths(numKvHeadsOf(config), checkedCount(config.at("attention_head_dim"), headDim));
  const inner = config.count("n_mamba_heads") * config.count("mamba_headdim");
  const each = mamba2(
    inner,
    config.count("mamba_ngroups"),
    config.count("mamba_d_state"),
    config.count("mamba_d_conv"),
  );
  return layers(numLayersOf(config), (index) => stateAt(index, each)).flatMap((layer) =>
    attends.has(layer.index) ? [full(layer.index, attention), layer] : [layer],
  );
}

/** Falcon-H1: attention and Mamba-2 side by side in every layer. */
function falconH1(config: ConfigReader): LayerShape[] {
  const attention = widthsOf(config);
  const each = mamba2ByHeads(config);
  return layers(2 * numLayersOf(config), (place) => {
    const index = Math.floor(place / 2);
    return place % 2 === 0 ? full(index, attention) : stateAt(index, each);
  });
}

function lfm2(config: ConfigReader): LayerShape[] {
  const attends = config.layerSet("full_attn_idxs", numLayersOf(config));
  const isAttention = byTypes(config, "full_attention", "conv") ?? (attends && ((index: number) => attends.has(index)));
  if (isAttention === undefined) return config.missing(["layer_types", "full_attn_idxs"], "given");
  return mixed(config, state("short-convolution", hiddenWidthOf(config), config.count("conv_L_cache"), 0), isAttention);
}

/** MiniMax-01 and M1: lightning attention keeps a square state per head. */
function lightning(config: ConfigReader): LayerShape[] {
  const numLayers = numLayersOf(config);
  const headDim = headDimOf(config);
  const each = state("lightning", 0, 1, numQueryHeadsOf(config) * headDim * headDim);
  const types = config.list("attn_type_list", numLayers);
  types?.forEach((type, i) => {
    if (type !== 0 && type !== 1) config.unsupported(`attn_type_list[${i}]`, type, "0 (lightning) or 1 (softmax)");
  });
  const isAttention = types
    ? (index: number) => types[index] === 1
    : byTypes(config, "full_attention", "linear_attention");
  return mixed(config, each, isAttention ?? config.missing(["attn_type_list", "layer_types"], "given"));
}

/** Kimi Linear: delta attention, with latent attention in the listed layers, which count from 1. */
function kimiLinear(config: ConfigReader): LayerShape[] {
  const numLayers = numLayersOf(config);
  const linear = config.nested("linear_attn_config") ?? config.missing(["linear_attn_config"], "an object");
  const attends = linear.layerSet("full_attn_layers", numLayers, 1) ?? linear.missing(["full_attn_layers"], "a list");
  const deltas = linear.layerSet("kda_layers", numLayers, 1);
  if (deltas && (deltas.size + attends.size !== numLayers || [...deltas].some((layer) => attends.has(layer)))) {
    linear.invalid("kda_layers", [...deltas], "the layers that full_attn_layers leaves");
  }
  const heads = linear.count("num_heads");
  const headDim = linear.count("head_dim");
  const each = state(
    "kimi-delta",
    3 * heads * headDim,
    linear.count("short_conv_kernel_size"),
    heads * headDim * headDim,
  );
  const attention = latentLayer(config);
  return layers(numLayers, (index) => (attends.has(index) ? latentAt(index, attention) : stateAt(index, each)));
}

/** RecurrentGemma: `block_types` repeats over the layers; its attention is local. */
function recurrentGemma(config: ConfigReader): LayerShape[] {
  const blocks = config.anyList("block_types") ?? config.missing(["block_types"], "a list");
  if (blocks.length === 0) config.invalid("block_types", blocks, "a list with at least one item");
  const attention = widthsOf(config);
  const windowTokens = config.tokens("attention_window_size");
  const width = config.optionalCount("lru_width") ?? hiddenWidthOf(config);
  const each = state("rg-lru", width, config.count("conv1d_width"), width);
  return layers(numLayersOf(config), (index) => {
    const block = blocks[index % blocks.length];
    if (block === "attention") return sliding(index, attention, windowTokens);
    if (block === "recurrent") return stateAt(index, each);
    return config.unsupported(`block_types[${index % blocks.length}]`, block, "attention or recurrent");
  });
}

/**
 * Phi-4-mini-flash: the first half alternates Mamba and windowed attention, then one full layer whose cache the whole
 * second half reads.
 */
function phi4Flash(config: ConfigReader): LayerShape[] {
  const numLayers = numLayersOf(config);
  if (config.layerCount("mb_per_layer") !== 2) config.unsupported("mb_per_layer", config.values["mb_per_layer"], "2");
  const half = numLayers / 2;
  const attention = widthsOf(config);
  const windowTokens = config.tokens("sliding_window");
  const each = mamba1(
    innerWidth(config, "mamba_d_inner", "mamba_expand"),
    config.count("mamba_d_conv"),
    config.count("mamba_d_state"),
  );
  config.assume("roles of layers follow the model's code: the file does not say them");
  return layers(numLayers, (index) => {
    if (index > half + 1) return { kind: "shared", index, readsLayer: half + 1 };
    if (index % 2 === 0) return stateAt(index, each);
    return index > half ? full(index, attention) : sliding(index, attention, windowTokens);
  });
}

function mamba(config: ConfigReader): LayerShape[] {
  const inner = innerWidth(config, "intermediate_size", "expand");
  const each = mamba1(inner, config.count("conv_kernel"), config.count("state_size"));
  return layers(numLayersOf(config), (index) => stateAt(index, each));
}

function pureMamba2(config: ConfigReader): LayerShape[] {
  const inner = config.count("num_heads") * config.count("head_dim");
  const each = mamba2(inner, config.count("n_groups"), config.count("state_size"), config.count("conv_kernel"));
  return layers(numLayersOf(config), (index) => stateAt(index, each));
}

/** Models with recurrent layers, alone or among attention layers. */
export const hybridFamilies = (): Families => ({
  ...named(["jamba"], { read: jamba }),
  ...named(["qwen3_next", "qwen3_5_text", "qwen3_5_moe_text", "olmo_hybrid"], { read: deltaNet }),
  ...named(["nemotron_h"], { read: nemotronH }),
  ...named(["granitemoehybrid"], { read: granite }),
  ...named(["bamba"], { read: bamba }),
  ...named(["zamba2"], { read: zamba2 }),
  ...named(["falcon_h1"], { read: falconH1 }),
  ...named(["lfm2", "lfm2_moe"], { read: lfm2 }),
  ...named(["minimax_text_01", "minimax_m1", "minimax"], { read: lightning }),
  ...named(["kimi_linear"], { read: kimiLinear }),
  ...named(["recurrent_gemma"], { read: recurrentGemma }),
  ...named(["phi4flash"], { read: phi4Flash }),
  ...named(["mamba", "falcon_mamba"], { read: mamba }),
  ...named(["mamba2"], { read: pureMamba2 }),
});
