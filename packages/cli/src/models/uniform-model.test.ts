import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { calculateSize, UnsupportedModelError } from "@kv/config";
import { afterAll, describe, expect, test } from "vitest";
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

function fileOf(name: string, contents: object): string {
  const file = path.join(folder, name);
  writeFileSync(file, JSON.stringify(contents));
  return file;
}

describe("presets", () => {
  test.each([
    ["qwen2.5-0.5b", 25_165_824],
    ["Llama-3-8B", 536_870_912],
    ["llama-3-70b", 2_684_354_560],
  ])("%s takes %d bytes", async (name, bytes) => {
    expect(calculateSize((await findUniformModel(name, { dtype: "fp16" })).config)).toBe(bytes);
  });

  test("options replace context and dtype", async () => {
    const { config, source } = await findUniformModel("llama-3-8b", { dtype: "fp32", context: 10 });
    expect(config).toEqual({ numLayers: 32, maxContextLength: 10, numKvHeads: 8, headDim: 128, dtype: "fp32" });
    expect(source).toBe("preset");
  });

  test("any other preset has the model's own context", async () => {
    const { config } = await findUniformModel("Qwen/Qwen3-8B", { dtype: "fp16" });
    expect(config).toMatchObject({ numLayers: 36, numKvHeads: 8, headDim: 128, maxContextLength: 40_960 });
  });

  test("a preset with layers of other kinds is refused by the kind", async () => {
    await expect(findUniformModel("gemma-3-1b-it", { dtype: "fp16" })).rejects.toThrow('layers[0].kind is "sliding"');
  });
});

describe("files", () => {
  test("the context is the file's unless one is given", async () => {
    const file = fileOf("context.json", { ...LLAMA, max_position_embeddings: 2048 });
    expect(await findUniformModel(file, { dtype: "bf16" })).toEqual({
      name: file,
      source: "config.json",
      config: { numLayers: 2, maxContextLength: 2048, numKvHeads: 2, headDim: 64, dtype: "bf16" },
      assumptions: [],
    });
    expect((await findUniformModel(file, { dtype: "bf16", context: 64 })).config.maxContextLength).toBe(64);
  });

  test("a context beyond the file's is an assumption", async () => {
    const file = fileOf("beyond.json", { ...LLAMA, max_position_embeddings: 2048 });
    expect((await findUniformModel(file, { dtype: "fp16", context: 2049 })).assumptions).toEqual([
      "a context of 2049 tokens, although the file says that the model can take 2048",
    ]);
  });

  test("a file without a context needs the option", async () => {
    const file = fileOf("none.json", LLAMA);
    await expect(findUniformModel(file, { dtype: "fp16" })).rejects.toThrow(/give --context/);
    expect((await findUniformModel(file, { dtype: "fp16", context: 8 })).config.maxContextLength).toBe(8);
  });

  test("another kind of layer is refused by its name, with the file's", async () => {
    const sliding = { ...LLAMA, model_type: "mistral", sliding_window: 128, max_position_embeddings: 2048 };
    const file = fileOf("sliding.json", sliding);
    const found = findUniformModel(file, { dtype: "fp16" });
    await expect(found).rejects.toBeInstanceOf(UnsupportedModelError);
    await expect(found).rejects.toThrow(`${file}: model type "mistral": layers[0].kind is "sliding"`);
  });
});
