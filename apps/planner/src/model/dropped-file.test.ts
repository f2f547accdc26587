import { describe, expect, test } from "vitest";
import { ggufBytes } from "../../test/gguf-bytes.ts";
import { changeByFile } from "./dropped-file.ts";

const METADATA = {
  "general.architecture": "llama",
  "llama.block_count": 2,
  "tokenizer.ggml.tokens": ["a", "b"],
};
const KEPT = { "general.architecture": "llama", "llama.block_count": 2 };

const given = (name: string, ...contents: BlobPart[]): ReturnType<typeof changeByFile> =>
  changeByFile(new File(contents, name));

describe("changeByFile", () => {
  test("takes a config.json as it stands, readable or not", async () => {
    for (const source of ['{"model_type": "llama"}', '{"model_type": "lla', ""]) {
      expect(await given("config.json", source)).toEqual({ model: "own", source, file: "config.json" });
    }
  });

  test("takes only the weights from an index of safetensors", async () => {
    const index = { metadata: { total_size: 42 }, weight_map: {} };
    expect(await given("model.safetensors.index.json", JSON.stringify(index))).toEqual({ weights: "42" });
    await expect(given("index.json", '{"weight_map": {}}')).rejects.toMatchObject({ code: "INVALID_CONFIG" });
  });

  test("takes what decides about the cache from a GGUF file, and its tensors' bytes", async () => {
    const { source = "", ...rest } = await given("small.gguf", new Uint8Array(ggufBytes(METADATA, 1000)));
    expect(JSON.parse(source)).toMatchObject(KEPT);
    expect(source).not.toContain("tokenizer");
    expect(rest).toEqual({ model: "own", file: "small.gguf", weights: "1000" });
  });

  test("does not take one shard's tensors for all weights", async () => {
    const bytes = new Uint8Array(ggufBytes(METADATA, 1000));
    expect(await given("large-00001-of-00003.gguf", bytes)).toMatchObject({ model: "own", weights: "" });
    expect(await given("small-00001-of-00001.gguf", bytes)).toMatchObject({ model: "own", weights: "1000" });
  });

  test("knows a GGUF file by its first bytes, and one without tensors by its end", async () => {
    expect(await given("renamed", new Uint8Array(ggufBytes(METADATA)))).toMatchObject({ model: "own", weights: "" });
  });

  test("refuses a GGUF file that ends anywhere in its metadata", async () => {
    const whole = new Uint8Array(ggufBytes(METADATA));
    const end = ggufBytes(METADATA).indexOf("token_embd.weight") - 8;
    for (let length = 4; length < end; length += 1) {
      const cut = given("cut.gguf", whole.subarray(0, length));
      await expect(cut, `${length} bytes`).rejects.toMatchObject({ code: "GGUF_READ", file: "cut.gguf" });
    }
  });

  test("takes a GGUF file that ends in the descriptions of its tensors", async () => {
    const whole = new Uint8Array(ggufBytes(METADATA));
    const cut = whole.subarray(0, ggufBytes(METADATA).indexOf("token_embd.weight") + 40);
    expect(await given("head.gguf", cut)).toMatchObject({ model: "own", weights: "" });
  });

  test("does not read weights that were given by mistake", async () => {
    const weights = new Uint8Array(2 ** 24 + 1);
    await expect(given("model.safetensors", weights)).rejects.toThrow("too many for a config.json");
  });
});
