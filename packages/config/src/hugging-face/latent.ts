import type { ConfigReader } from "../config-reader.ts";
import type { LatentLayer, LayerShape } from "../layer-shape.ts";
import { full, layers, numLayersOf, numQueryHeadsOf, sliding, widths, widthsOf } from "./attention.ts";
import { type Families, named } from "./family.ts";
import { numNextTokenLayers } from "./layer-types.ts";

/** A latent layer that stands nowhere yet, without an indexer. */
export type Latent = Omit<LatentLayer, "index" | "indexerKeyDim">;

/** That latent layer as layer `index`. */
export function latentAt(index: number, { latentDim, ropeDim, expanded }: Latent, indexerKeyDim = 0): LatentLayer {
  return { kind: "latent", index, latentDim, ropeDim, expanded, indexerKeyDim };
}

/** The latent layer as the file describes it. */
export function latentLayer(config: ConfigReader): Latent {
  const ropeDim = config.count("qk_rope_head_dim");
  // Both are decoys beside a latent: it has one entry for all heads.
  config.ignore("num_key_value_heads", "head_dim");
  return {
    kind: "latent",
    latentDim: config.count("kv_lora_rank"),
    ropeDim,
    expanded: widths(numQueryHeadsOf(config), config.count("qk_nope_head_dim") + ropeDim, config.count("v_head_dim")),
  };
}

/** DeepSeek's OCR models have the type of the latent ones and switch the latent off. */
function latent(config: ConfigReader): LayerShape[] {
  if (config.flag("use_mla") === false) {
    config.ignore("kv_lora_rank");
    const each = widthsOf(config);
    return layers(numLayersOf(config), (index) => full(index, each));
  }
  const each = latentLayer(config);
  return layers(numLayersOf(config), (index) => latentAt(index, each));
}

/** LongCat: two attention blocks, and so two caches, in every layer. */
function twoPerLayer(config: ConfigReader): LayerShape[] {
  const each = latentLayer(config);
  return layers(2 * config.layerCount("num_layers"), (index) => latentAt(Math.floor(index / 2), each));
}

/** DeepSeek sparse attention: an indexer key beside the latent, in all layers or in those that `indexer_types` calls full. */
function latentWithIndexer(config: ConfigReader): LayerShape[] {
  const numLayers = numLayersOf(config);
  const each = latentLayer(config);
  const keyDim = config.count("index_head_dim");
  const types = config.list("indexer_types", numLayers, numNextTokenLayers(config));
  if (types === undefined && (config.optionalLayerCount("index_topk_freq") ?? 1) > 1) {
    config.unsupported("index_topk_freq", config.values["index_topk_freq"], "1, or a list indexer_types beside it");
  }
  return layers(numLayers, (index) => latentAt(index, each, ownIndexer(config, types, index) ? keyDim : 0));
}

function ownIndexer(config: ConfigReader, types: readonly unknown[] | undefined, index: number): boolean {
  if (types === undefined || types[index] === "full") return true;
  return types[index] === "shared"
    ? false
    : config.unsupported(`indexer_types[${index}]`, types[index], "full or shared");
}

/** MiniMax-M3: block-sparse grouped-query attention, with one indexer key per token in the sparse layers. */
function sparseGrouped(config: ConfigReader): LayerShape[] {
  const numLayers = numLayersOf(config);
  const sparse = config.nested("sparse_attention_config");
  const each = widthsOf(config);
  if (sparse === undefined || sparse.flag("use_sparse_attention") === false) {
    return layers(numLayers, (index) => full(index, each));
  }
  const keyDim = sparse.count("sparse_index_dim");
  const used = sparse.list("sparse_attention_freq", numLayers, numNextTokenLayers(config));
  return layers(numLayers, (index) => {
    const use = used?.[index] ?? 1;
    if (use !== 0 && use !== 1) sparse.invalid(`sparse_attention_freq[${index}]`, use, "0 or 1");
    return full(index, each, use === 1 ? keyDim : 0);
  });
}

const RATIO_OF_TYPE: Readonly<Record<string, number>> = {
  sliding_attention: 0,
  compressed_sparse_attention: 4,
  heavily_compressed_attention: 128,
};

/** DeepSeek-V4: a window of raw entries everywhere, and compressed entries in most layers. K and V are one tensor. */
function compressed(config: ConfigReader): LayerShape[] {
  const numLayers = numLayersOf(config);
  const windowTokens = config.tokens("sliding_window");
  const entryDim = config.count("head_dim");
  config.ignore("num_key_value_heads");
  const indexDim = config.count("index_head_dim");
  const ratios = compressRatios(config, numLayers);
  return layers(numLayers, (index) => {
    const tokensPerEntry = ratios[index] as number;
    if (tokensPerEntry === 0) return sliding(index, widths(1, entryDim, 0), windowTokens);
    // Only the finer of the two compressions selects entries, and so needs keys to select by.
    const indexerKeyDim = tokensPerEntry === 4 ? indexDim : 0;
    return { kind: "compressed", index, windowTokens, entryDim, tokensPerEntry, indexerKeyDim };
  });
}

function compressRatios(config: ConfigReader, numLayers: number): readonly number[] {
  const extra = numNextTokenLayers(config);
  const ratios = config.list("compress_ratios", numLayers, extra);
  const types = config.list("layer_types", numLayers, extra);
  if (ratios === undefined && types === undefined) return config.missing(["compress_ratios"], `a list of ${numLayers}`);
  const key = ratios === undefined ? "layer_types" : "compress_ratios";
  return (ratios ?? types ?? []).map((item, i) => {
    const ratio = typeof item === "string" && key === "layer_types" ? RATIO_OF_TYPE[item] : item;
    if (ratio === 0 || ratio === 4 || ratio === 128) return ratio;
    return config.unsupported(
      `${key}[${i}]`,
      item,
      key === "layer_types" ? Object.keys(RATIO_OF_TYPE).join(", ") : "0, 4 or 128",
    );
  });
}

/** Models with multi-head latent attention, sparse indexers and compressed caches. */
export const latentFamilies = (): Families => ({
  ...named(["deepseek_v2", "deepseek_v3", "kimi_k2", "minicpm3", "glm4_moe_lite", "mistral4", "plm", "youtu"], {
    read: latent,
  }),
  ...named(["longcat_flash"], { read: twoPerLayer }),
  ...named(["deepseek_v32", "glm_moe_dsa"], { read: latentWithIndexer }),
  ...named(["minimax_m3"], { read: sparseGrouped }),
  ...named(["deepseek_v4"], { read: compressed }),
});
