import type { ConfigReader } from "../config-reader.ts";
import { latentAt } from "../hugging-face/latent.ts";
import { mamba1, mamba2, type State, state, stateAt } from "../hugging-face/recurrent.ts";
import type { LayerShape } from "../layer-shape.ts";
import type { ReadArchitecture } from "./architectures.ts";
import { blockCount, fullOrNone, headDims, kvHeads, perLayer } from "./attention.ts";

/** Architectures with recurrent layers, alone or among attention layers. */
export function hybridArchitectures(): Readonly<Record<string, ReadArchitecture>> {
  return {
    mamba: (config) => everyLayer(config, mamba1Of(config)),
    mamba2: (config) => everyLayer(config, mamba2Of(config)),
    jamba: (config) => whereNoHeads(config, mamba1Of(config)),
    granitehybrid: (config) => whereNoHeads(config, mamba2Of(config)),
    "falcon-h1": beside,
    nemotron_h: nemotron,
    nemotron_h_moe: nemotron,
    lfm2: (config) => whereNoHeads(config, shortConvolution(config)),
    lfm2moe: (config) => whereNoHeads(config, shortConvolution(config)),
    qwen3next: everyFourthFull,
    qwen35: everyFourthFull,
    qwen35moe: everyFourthFull,
    "kimi-linear": kimi,
    rwkv6: (config) => everyLayer(config, rwkv(config)),
    rwkv7: (config) => everyLayer(config, rwkv(config)),
  };
}

function mamba1Of(config: ConfigReader): State {
  return mamba1(config.count("ssm.inner_size"), config.count("ssm.conv_kernel"), config.count("ssm.state_size"));
}

function mamba2Of(config: ConfigReader): State {
  const groups = config.count("ssm.group_count");
  return mamba2(
    config.count("ssm.inner_size"),
    groups,
    config.count("ssm.state_size"),
    config.count("ssm.conv_kernel"),
  );
}

function shortConvolution(config: ConfigReader): State {
  return state("short-convolution", config.count("embedding_length"), config.count("shortconv.l_cache"), 0);
}

/** RWKV keeps the two inputs that its token shift looks back on, and a square state per head. */
function rwkv(config: ConfigReader): State {
  const width = config.count("embedding_length");
  return state("rwkv", width, 3, width * config.count("wkv.head_size"));
}

function everyLayer(config: ConfigReader, each: State): LayerShape[] {
  return Array.from({ length: blockCount(config) }, (_, index) => stateAt(index, each));
}

/** Attention where a layer has KV heads, the state elsewhere. */
function whereNoHeads(config: ConfigReader, each: State): LayerShape[] {
  const numLayers = blockCount(config);
  const heads = kvHeads(config, numLayers);
  const dims = headDims(config, numLayers);
  return heads.map((numKvHeads, index) =>
    numKvHeads === 0 ? stateAt(index, each) : fullOrNone(index, numKvHeads, dims),
  );
}

/** Falcon-H1: attention and a state in every layer. */
function beside(config: ConfigReader): LayerShape[] {
  const numLayers = blockCount(config);
  const dims = headDims(config, numLayers);
  const each = mamba2Of(config);
  return kvHeads(config, numLayers).flatMap((numKvHeads, index) => [
    fullOrNone(index, numKvHeads, dims),
    stateAt(index, each),
  ]);
}

/** Nemotron-H: a layer is attention if it has KV heads, a feed-forward block if it has a width for one, a state otherwise. */
function nemotron(config: ConfigReader): LayerShape[] {
  const numLayers = blockCount(config);
  const heads = kvHeads(config, numLayers);
  const dims = headDims(config, numLayers);
  const each = mamba2Of(config);
  const feedForward = perLayer(config, "feed_forward_length", numLayers);
  return heads.map((numKvHeads, index) => {
    if (numKvHeads > 0) return fullOrNone(index, numKvHeads, dims);
    return (feedForward?.[index] ?? 0) > 0 ? { kind: "none", index } : stateAt(index, each);
  });
}

/** Qwen3-Next and Qwen3.5: a gated delta net in all layers but every `full_attention_interval`-th. */
function everyFourthFull(config: ConfigReader): LayerShape[] {
  const numLayers = blockCount(config);
  const interval = config.optionalLayerCount("full_attention_interval") ?? 4;
  const heads = kvHeads(config, numLayers);
  const dims = headDims(config, numLayers);
  const each = gatedDeltaNet(config);
  return heads.map((numKvHeads, index) => {
    return (index + 1) % interval === 0 ? fullOrNone(index, numKvHeads, dims) : stateAt(index, each);
  });
}

/** Here the state size is the size of a key head, the groups are key heads, and the inner size is that of all values. */
function gatedDeltaNet(config: ConfigReader): State {
  const keyDim = config.count("ssm.state_size");
  const inner = config.count("ssm.inner_size");
  config.ignore("ssm.time_step_rank");
  const convWidth = 2 * config.count("ssm.group_count") * keyDim + inner;
  return state("gated-delta-net", convWidth, config.count("ssm.conv_kernel"), inner * keyDim);
}

/** Kimi Linear: delta attention where a layer has no KV heads, latent attention elsewhere. */
function kimi(config: ConfigReader): LayerShape[] {
  const numLayers = blockCount(config);
  const heads = kvHeads(config, numLayers);
  const headDim = config.count("kda.head_dim");
  const numQueryHeads = Math.max(...(perLayer(config, "attention.head_count", numLayers) ?? [0]));
  const width = numQueryHeads * headDim;
  const each = state("kimi-delta", 3 * width, config.count("ssm.conv_kernel"), width * headDim);
  const latent = {
    kind: "latent",
    latentDim: config.count("attention.kv_lora_rank"),
    ropeDim: config.count("rope.dimension_count"),
    expanded: {
      numKvHeads: numQueryHeads,
      keyDim: config.count("attention.key_length_mla"),
      valueDim: config.count("attention.value_length_mla"),
    },
  } as const;
  return heads.map((numKvHeads, index) => (numKvHeads === 0 ? stateAt(index, each) : latentAt(index, latent)));
}
