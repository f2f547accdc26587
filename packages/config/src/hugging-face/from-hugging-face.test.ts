import { describe, expect, test } from "vitest";
import { MODELS, modelShape } from "../../test/models.ts";
import { growthBytesPerToken } from "../cache-size.ts";
import { InvalidConfigError, UnsupportedModelError } from "../errors.ts";
import { fromHuggingFace, supportedModelTypes } from "./from-hugging-face.ts";

const LLAMA = {
  model_type: "llama",
  num_hidden_layers: 2,
  hidden_size: 1024,
  num_attention_heads: 8,
  num_key_value_heads: 2,
  max_position_embeddings: 4096,
  torch_dtype: "bfloat16",
};

const kindsOf = (config: unknown): string[] => fromHuggingFace(config).layers.map(({ kind }) => kind);

describe("a plain model", () => {
  test("is read into a list of layers, with nothing assumed", () => {
    const layer = { kind: "full", numKvHeads: 2, keyDim: 128, valueDim: 128, indexerKeyDim: 0 };
    expect(fromHuggingFace(LLAMA)).toEqual({
      modelType: "llama",
      layers: [
        { ...layer, index: 0 },
        { ...layer, index: 1 },
      ],
      maxContextTokens: 4096,
      dtype: "bf16",
      stateDtype: null,
      assumptions: [],
    });
  });

  test("has the head size it says, not the one it could have", () => {
    const [layer] = fromHuggingFace({ ...LLAMA, head_dim: 64 }).layers;
    expect(layer).toMatchObject({ keyDim: 64 });
    expect(fromHuggingFace({ ...LLAMA, head_dim: null }).layers[0]).toMatchObject({ keyDim: 128 });
  });

  test("without KV heads has one per query head, and says so", () => {
    const { num_key_value_heads: _, ...rest } = LLAMA;
    const { layers, assumptions } = fromHuggingFace(rest);
    expect(layers[0]).toMatchObject({ numKvHeads: 8 });
    expect(assumptions).toEqual(["num_key_value_heads is missing: one KV head per query head, 8"]);
  });

  test("may have keys that say nothing about the cache", () => {
    expect(fromHuggingFace({ ...LLAMA, rope_theta: 1e6, vision_config: { num_hidden_layers: 99 } })).toEqual(
      fromHuggingFace(LLAMA),
    );
  });
});

describe("what a file nests", () => {
  test.each(["text_config", "llm_config", "language_config"])("%s is the text model", (key) => {
    const shape = fromHuggingFace({ model_type: "some_vision_model", [key]: LLAMA });
    expect(shape).toEqual(fromHuggingFace(LLAMA));
  });

  test("may lie two deep", () => {
    const nested = { model_type: "qwen2_5_omni", thinker_config: { text_config: { ...LLAMA, model_type: "qwen2" } } };
    expect(fromHuggingFace(nested).modelType).toBe("qwen2");
  });

  test("is named in errors by its path", () => {
    const nested = { model_type: "some_vision_model", text_config: { ...LLAMA, num_attention_heads: 0 } };
    expect(() => fromHuggingFace(nested)).toThrow(
      expect.objectContaining({ code: "INVALID_CONFIG", field: "text_config.num_attention_heads" }),
    );
  });
});

describe("windows", () => {
  const qwen2 = {
    ...LLAMA,
    model_type: "qwen2",
    num_hidden_layers: 4,
    sliding_window: 1024,
    max_window_layers: 3,
  };

  test("that are switched off are none", () => {
    expect(kindsOf({ ...qwen2, use_sliding_window: false })).toEqual(["full", "full", "full", "full"]);
  });

  test("begin at max_window_layers where they are on", () => {
    expect(kindsOf({ ...qwen2, use_sliding_window: true })).toEqual(["full", "full", "full", "sliding"]);
  });
});

describe("layers for further tokens", () => {
  const glm = MODELS.find(({ id }) => id === "zai-org/GLM-4.5")?.config;

  test("have no cache unless it is asked for", () => {
    const without = fromHuggingFace(glm);
    const withThem = fromHuggingFace(glm, { nextTokenLayers: true });
    expect(withThem.layers.length).toBe(without.layers.length + 1);
    expect(withThem.layers.at(-1)).toEqual({ ...without.layers.at(-1), index: without.layers.length });
    expect(withThem.assumptions).toContain("1 layers for further tokens, each like the last full layer");
  });
});

describe("what is not known", () => {
  test("is a model type: nothing is guessed", () => {
    const error = (() => {
      try {
        return fromHuggingFace({ ...LLAMA, model_type: "llama9" });
      } catch (thrown) {
        return thrown;
      }
    })();
    expect(error).toBeInstanceOf(UnsupportedModelError);
    expect(error).toMatchObject({ code: "UNSUPPORTED_MODEL", modelType: "llama9", key: "model_type" });
    expect(supportedModelTypes()).not.toContain("llama9");
  });

  test.each<[string, unknown]>([
    ["kv_lora_rank", 512],
    ["sliding_window", 4096],
    ["num_kv_shared_layers", 2],
    ["attention_chunk_size", 8192],
    ["mamba_d_state", 16],
    ["index_head_dim", 128],
  ])("is a key that would change the cache: %s", (key, value) => {
    expect(() => fromHuggingFace({ ...LLAMA, [key]: value })).toThrow(
      expect.objectContaining({ code: "UNSUPPORTED_MODEL", modelType: "llama", key }),
    );
  });

  test("is a layer's type that the family does not have", () => {
    const gemma = MODELS.find(({ id }) => id === "google/gemma-3-1b-it")?.config;
    const layerTypes = Array.from({ length: 26 }, () => "lightning_attention");
    expect(() => fromHuggingFace({ ...gemma, layer_types: layerTypes })).toThrow(
      expect.objectContaining({ code: "UNSUPPORTED_MODEL", key: "layer_types[0]" }),
    );
  });
});

describe("families beyond the models of the tests", () => {
  const GROUPED = { num_hidden_layers: 4, hidden_size: 512, num_attention_heads: 8, num_key_value_heads: 2 };
  const ALIKE = { num_hidden_layers: 4, hidden_size: 512, num_attention_heads: 8 };
  const LATENT = { ...ALIKE, kv_lora_rank: 128, qk_rope_head_dim: 32, qk_nope_head_dim: 64, v_head_dim: 64 };

  test.each<[string, object, number]>([
    ["arctic", GROUPED, 4 * 2 * 128 * 2],
    ["bailing_moe", { ...GROUPED, head_dim: 128 }, 4 * 2 * 256 * 2],
    ["chameleon", GROUPED, 4 * 2 * 128 * 2],
    ["glm4v_text", GROUPED, 4 * 2 * 128 * 2],
    ["hyperclovax", { ...GROUPED, head_dim: 128 }, 4 * 2 * 256 * 2],
    ["minicpmv", GROUPED, 4 * 2 * 128 * 2],
    ["biogpt", ALIKE, 4 * 2 * 512 * 2],
    ["ctrl", { n_layer: 4, n_embd: 512, n_head: 8 }, 4 * 2 * 512 * 2],
    ["gpt_neo", { num_layers: 4, hidden_size: 512, num_heads: 8, window_size: 256 }, 4 * 2 * 512 * 2],
    ["jetmoe", { ...GROUPED, num_key_value_heads: 16, kv_channels: 128 }, 4 * 2 * 2048 * 2],
    ["phi4mm", { ...GROUPED, sliding_window: 262_144, max_position_embeddings: 131_072 }, 4 * 2 * 128 * 2],
    ["ministral3", { ...GROUPED, sliding_window: null }, 4 * 2 * 128 * 2],
    ["plm", LATENT, 4 * 160 * 2],
    ["youtu", LATENT, 4 * 160 * 2],
    ["electra", ALIKE, 0],
    ["deberta-v2", ALIKE, 0],
    ["led", { decoder_layers: 4, d_model: 512, decoder_attention_heads: 8 }, 4 * 2 * 512 * 2],
    ["switch_transformers", { num_layers: 4, num_heads: 8, d_kv: 64 }, 4 * 2 * 512 * 2],
  ])("%s", (modelType, config, bytesPerToken) => {
    expect(growthBytesPerToken(fromHuggingFace({ model_type: modelType, ...config }))).toBe(bytesPerToken);
  });

  test("EXAONE's mixture has the windows of its list", () => {
    const types = ["sliding_attention", "sliding_attention", "sliding_attention", "full_attention"];
    const shape = fromHuggingFace({ model_type: "exaone_moe", ...GROUPED, sliding_window: 128, layer_types: types });
    expect(shape.layers.map(({ kind }) => kind)).toEqual(["sliding", "sliding", "sliding", "full"]);
  });

  test("DeepSeek's OCR models switch the latent off, inside a multimodal file", () => {
    const language = {
      model_type: "deepseek_v2",
      ...ALIKE,
      num_key_value_heads: 8,
      use_mla: false,
      kv_lora_rank: null,
    };
    const shape = fromHuggingFace({ model_type: "deepseek_vl_v2", language_config: language });
    expect(growthBytesPerToken(shape)).toBe(4 * 2 * 512 * 2);
  });
});

describe("what is wrong", () => {
  test.each<[string, unknown, string]>([
    ["num_hidden_layers", "32", "a string"],
    ["num_hidden_layers", 0, "none"],
    ["num_hidden_layers", 10_001, "too many"],
    ["num_key_value_heads", 3, "not a divisor"],
    ["num_key_value_heads", 2.5, "a fraction"],
    ["head_dim", -128, "negative"],
    ["head_dim", 1e9, "too wide"],
    ["max_position_embeddings", "4k", "no number"],
  ])("%s = %j: %s", (field, value) => {
    expect(() => fromHuggingFace({ ...LLAMA, [field]: value })).toThrow(
      expect.objectContaining({ code: "INVALID_CONFIG", field }),
    );
  });

  test("is what is missing", () => {
    const { hidden_size: _, ...rest } = LLAMA;
    expect(() => fromHuggingFace(rest)).toThrow(InvalidConfigError);
    expect(() => fromHuggingFace(rest)).toThrow(/hidden_size/);
  });

  test("is anything but an object", () => {
    for (const config of [null, undefined, 3, "{}", [LLAMA], () => LLAMA]) {
      expect(() => fromHuggingFace(config)).toThrow(expect.objectContaining({ code: "INVALID_CONFIG" }));
    }
  });
});

test("every supported type is a word, once, in order", () => {
  const types = supportedModelTypes();
  expect(types.length).toBeGreaterThan(60);
  expect(new Set(types).size).toBe(types.length);
  for (const { id } of MODELS.slice(0, 5)) expect(growthBytesPerToken(modelShape(id))).toBeGreaterThan(0);
});
