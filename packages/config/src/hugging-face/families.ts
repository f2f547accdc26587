import { crossAttentionFamilies } from "./cross-attention.ts";
import type { Families } from "./family.ts";
import { gemmaFamilies } from "./gemma.ts";
import { hybridFamilies } from "./hybrid.ts";
import { latentFamilies } from "./latent.ts";
import { plainFamilies } from "./plain.ts";
import { windowedFamilies } from "./windowed.ts";

let known: Families | undefined;

/** Every `model_type` that can be read. Made on first use, so that a bundle without this reader drops it. */
export function families(): Families {
  known ??= {
    ...plainFamilies(),
    ...windowedFamilies(),
    ...gemmaFamilies(),
    ...latentFamilies(),
    ...hybridFamilies(),
    ...crossAttentionFamilies(),
  };
  return known;
}

/** What the text part of a multimodal file is when it does not say so itself. */
export const TEXT_TYPE_OF: Readonly<Record<string, string>> = {
  gemma3: "gemma3_text",
  gemma3n: "gemma3n_text",
  gemma4: "gemma4_text",
  llama4: "llama4_text",
  mllama: "mllama_text_model",
  qwen2_vl: "qwen2_vl_text",
  qwen2_5_vl: "qwen2_5_vl_text",
  qwen3_vl: "qwen3_vl_text",
  qwen3_vl_moe: "qwen3_vl_moe_text",
  qwen3_5: "qwen3_5_text",
  qwen3_5_moe: "qwen3_5_moe_text",
  mistral3: "mistral",
  pixtral: "mistral",
  llava: "llama",
  llava_next: "llama",
  paligemma: "gemma",
};

/**
 * Keys that change what a cache holds. A family that meets one of them and did not read it would size the model wrongly,
 * so such a file is refused.
 */
export const CACHE_KEYS: readonly string[] = [
  "attention_chunk_size",
  "attn_layer_indices",
  "attn_layer_period",
  "attn_type_list",
  "block_configs",
  "block_types",
  "compress_ratios",
  "cross_attention_layers",
  "full_attention_interval",
  "full_attn_idxs",
  "global_head_dim",
  "hybrid_layer_ids",
  "hybrid_layer_pattern",
  "hybrid_override_pattern",
  "index_head_dim",
  "indexer_types",
  "kv_lora_rank",
  "layer_types",
  "layers_block_type",
  "linear_attn_config",
  "mamba_d_state",
  "multi_query",
  "multi_query_attention",
  "num_global_key_value_heads",
  "num_key_value_heads",
  "num_key_value_heads_per_layer",
  "num_kv_heads",
  "num_kv_shared_layers",
  "sliding_window",
  "sliding_window_layers",
  "sliding_window_pattern",
  "sparse_attention_config",
  "ssm_state_size",
  "swa_num_key_value_heads",
  "use_cla",
];
