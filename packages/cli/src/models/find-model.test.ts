import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { growthBytesPerToken } from "@kv/config";
import { afterAll, describe, expect, test } from "vitest";
import { writeGguf } from "../../test/gguf-file.ts";
import { findModel, presetNames } from "./find-model.ts";
import { presetList } from "./preset-list.ts";

const folder = mkdtempSync(path.join(tmpdir(), "kv-cli-"));
afterAll(() => rmSync(folder, { recursive: true }));

const LLAMA =
  '{"model_type":"llama","hidden_size":256,"num_hidden_layers":2,"num_attention_heads":4,"num_key_value_heads":2}';

function fileOf(name: string, text: string): string {
  const file = path.join(folder, name);
  writeFileSync(file, text);
  return file;
}

describe("presets", () => {
  test.each(["gemma-3-1b-it", "google/gemma-3-1b-it", "Google/Gemma-3-1B-it"])("%s", async (name) => {
    const { shape, ...found } = await findModel(name);
    expect(found).toEqual({ name, source: "preset", weightsBytes: undefined });
    expect(shape.modelType).toBe("gemma3_text");
  });

  test("every one of them has a shape", async () => {
    for (const name of presetNames()) expect((await findModel(name)).shape.layers.length).toBeGreaterThan(0);
  });

  test("layers for further tokens are counted when asked", async () => {
    const { shape } = await findModel("deepseek-v3");
    const { shape: more } = await findModel("deepseek-v3", { nextTokenLayers: true });
    expect(more.layers.length).toBe(shape.layers.length + 1);
  });

  test("the list for the help text holds all of them in lines of a terminal's width", () => {
    const lines = presetList().trim().split("\n");
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(81);
    expect(lines.slice(1).join(" ").split(/,? +/)).toEqual(expect.arrayContaining(presetNames()));
  });

  test.each([
    ["frobnicate", "kv size --help lists the presets"],
    ["lama-3-8b", "presets with such a name are llama-2-7b-hf, llama-2-13b-hf"],
    ["meta/llama-9", "presets with such a name are llama-2-7b-hf"],
    ["constructor", "there is no file constructor"],
  ])("a name that is none: %s", async (name, text) => {
    await expect(findModel(name)).rejects.toMatchObject({
      code: "INPUT",
      input: name,
      message: expect.stringContaining(text),
    });
  });
});

describe("files", () => {
  test("a config.json, or a folder with one", async () => {
    const snapshot = path.join(folder, "snapshot");
    mkdirSync(snapshot);
    await expect(findModel(snapshot)).rejects.toThrow(`${path.join(snapshot, "config.json")} does not exist`);
    const file = fileOf("snapshot/config.json", LLAMA);
    for (const name of [file, snapshot]) {
      const { shape, source } = await findModel(name);
      expect(source).toBe("config.json");
      expect(growthBytesPerToken(shape)).toBe(2 * 2 * 2 * 64 * 2);
    }
  });

  test("a GGUF file, with the bytes of its weights", async () => {
    const file = path.join(folder, "model.gguf");
    const sizeBytes = writeGguf(file);
    const { shape, source, weightsBytes } = await findModel(file);
    expect({ source, weightsBytes }).toEqual({ source: "gguf", weightsBytes: sizeBytes });
    expect(growthBytesPerToken(shape)).toBe(12_288);
  });

  test("a GGUF file that is none", async () => {
    await expect(findModel(fileOf("broken.gguf", "GGU"))).rejects.toMatchObject({ code: "GGUF_READ" });
  });

  test.each(["", "{", '{"model_type": "llama", ', "nul"])("what is no JSON is said to be none: %j", async (text) => {
    const file = fileOf("broken.json", text);
    await expect(findModel(file)).rejects.toThrow(`${file} is not valid JSON`);
  });

  test("a mark of the byte order before the text is passed over", async () => {
    expect((await findModel(fileOf("marked.json", `\uFEFF${LLAMA}`))).shape.layers).toHaveLength(2);
  });

  test("errors about the contents name the file", async () => {
    const file = fileOf("wrong.json", '{"model_type": "llama", "num_hidden_layers": -3}');
    await expect(findModel(file)).rejects.toThrow(`${file}: num_hidden_layers must be`);
  });

  test("weights given by mistake are not read", async () => {
    const file = fileOf("model.safetensors", "");
    truncateSync(file, 2 ** 33);
    await expect(findModel(file)).rejects.toThrow("too many for a config.json");
  });
});
