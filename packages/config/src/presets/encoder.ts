import type { ModelPreset } from "./model-preset.ts";

/** Models that look at an encoder. */
export const ENCODER_PRESETS: readonly ModelPreset[] = [
  {
    id: "openai/whisper-large-v3",
    config: {
      model_type: "whisper",
      d_model: 1280,
      decoder_layers: 32,
      decoder_attention_heads: 20,
      max_source_positions: 1500,
      max_target_positions: 448,
    },
    source: "from memory",
  },
  {
    id: "openai/whisper-large-v3-turbo",
    config: {
      model_type: "whisper",
      d_model: 1280,
      decoder_layers: 4,
      decoder_attention_heads: 20,
      max_source_positions: 1500,
      max_target_positions: 448,
    },
    source: "4 decoder layers: k2-fsa/sherpa-onnx issue 3531; other values memory",
  },
  {
    id: "google-t5/t5-11b",
    config: { model_type: "t5", d_model: 1024, d_kv: 128, num_heads: 128, num_layers: 24, num_decoder_layers: 24 },
    source: "from memory",
  },
  {
    id: "facebook/bart-large",
    config: {
      model_type: "bart",
      d_model: 1024,
      decoder_layers: 12,
      decoder_attention_heads: 16,
      max_position_embeddings: 1024,
    },
    source: "Hugging Face transformers 5.18.0 config class default (documented as this model's geometry)",
  },
  {
    id: "meta-llama/Llama-3.2-11B-Vision-Instruct",
    config: {
      model_type: "mllama",
      text_config: {
        model_type: "mllama_text_model",
        hidden_size: 4096,
        num_hidden_layers: 40,
        num_attention_heads: 32,
        num_key_value_heads: 8,
        cross_attention_layers: [3, 8, 13, 18, 23, 28, 33, 38],
        max_position_embeddings: 131072,
      },
    },
    source:
      "Hugging Face transformers 5.18.0 config class default (documented as this model's geometry); text-index id 54605877426",
  },
];
