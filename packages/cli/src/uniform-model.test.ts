import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { calculateSize, UnsupportedModelError } from "@kv/config";
import { afterAll, describe, expect, test } from "vitest";
import { InputError } from "./input-error.ts";
import { findUniformModel } from "./uniform-model.ts";

const folder = mkdtempSync(path.join(tmpdir(), "kv-cli-"));
afterAll(() => rmSync(folder, { recursive: true }));

const LLAMA = {
  model_type: "llama",
  hidden_size: 256,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
};

function fileOf(name: string, contents: object | string): string {
  const file = path.join(folder, name);
  writeFileSync(file, typeof contents === "string" ? contents : JSON.stringify(contents));
  return file;
}

describe("presets", () => {
  test.each([
    ["qwen2.5-0.5b", 25_165_824],
    ["Llama-3-8B", 536_870_912],
    ["llama-3-70b", 2_684_354_560],
  ])("%s takes %d bytes", (name, bytes) => {
    expect(calculateSize(findUniformModel(name, { dtype: "fp16" }).config)).toBe(bytes);
  });

  test("options replace context and dtype", () => {
    const { config, source } = findUniformModel("llama-3-8b", { dtype: "fp32", context: 10 });
    expect(config).toEqual({ numLayers: 32, maxContextLength: 10, numKvHeads: 8, headDim: 128, dtype: "fp32" });
    expect(source).toBe("preset");
  });

  test("a property of every object is no preset", () => {
    expect(() => findUniformModel("constructor", { dtype: "fp16" })).toThrow(InputError);
  });
});

describe("files", () => {
  test("the context is the file's unless one is given", () => {
    const file = fileOf("context.json", { ...LLAMA, max_position_embeddings: 2048 });
    expect(findUniformModel(file, { dtype: "bf16" })).toEqual({
      name: file,
      source: "config.json",
      config: { numLayers: 2, maxContextLength: 2048, numKvHeads: 2, headDim: 64, dtype: "bf16" },
      assumptions: [],
    });
    expect(findUniformModel(file, { dtype: "bf16", context: 64 }).config.maxContextLength).toBe(64);
  });

  test("a context beyond the file's is an assumption", () => {
    const file = fileOf("beyond.json", { ...LLAMA, max_position_embeddings: 2048 });
    expect(findUniformModel(file, { dtype: "fp16", context: 2049 }).assumptions).toEqual([
      "a context of 2049 tokens, although the file says that the model can take 2048",
    ]);
  });

  test("a file without a context needs the option", () => {
    const file = fileOf("none.json", LLAMA);
    expect(() => findUniformModel(file, { dtype: "fp16" })).toThrow(/give --context/);
    expect(findUniformModel(file, { dtype: "fp16", context: 8 }).config.maxContextLength).toBe(8);
  });

  test("a folder stands for its config.json", () => {
    const snapshot = path.join(folder, "snapshot");
    mkdirSync(snapshot);
    expect(() => findUniformModel(snapshot, { dtype: "fp16" })).toThrow(
      `${path.join(snapshot, "config.json")} does not exist`,
    );
    fileOf("snapshot/config.json", { ...LLAMA, max_position_embeddings: 16 });
    expect(findUniformModel(snapshot, { dtype: "fp16" }).config.maxContextLength).toBe(16);
  });

  test("another kind of layer is refused by its name, with the file's", () => {
    const sliding = { ...LLAMA, model_type: "mistral", sliding_window: 128, max_position_embeddings: 2048 };
    const file = fileOf("sliding.json", sliding);
    const find = () => findUniformModel(file, { dtype: "fp16" });
    expect(find).toThrow(UnsupportedModelError);
    expect(find).toThrow(`${file}: model type "mistral": layers[0].kind is "sliding"`);
  });

  test.each(["", "{", '{"model_type": "llama", ', "nul"])("what is no JSON is said to be none: %j", (text) => {
    const file = fileOf("broken.json", text);
    expect(() => findUniformModel(file, { dtype: "fp16" })).toThrow(`${file} is not valid JSON`);
  });

  test("weights given by mistake are not read", () => {
    const file = fileOf("model.safetensors", "");
    truncateSync(file, 2 ** 33);
    expect(() => findUniformModel(file, { dtype: "fp16" })).toThrow("too many for a config.json");
  });
});
