import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type GGUFTypedMetadata, GGUFValueType, serializeGgufMetadata } from "@huggingface/gguf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { growthBytesPerToken } from "./cache-size.ts";
import { readGgufBlob, readGgufFile } from "./gguf.ts";

const count = (value: number): object => ({ value, type: GGUFValueType.UINT32 });
const METADATA = {
  version: { value: 3, type: GGUFValueType.UINT32 },
  tensor_count: { value: 0n, type: GGUFValueType.UINT64 },
  kv_count: { value: 7n, type: GGUFValueType.UINT64 },
  "general.architecture": { value: "qwen2", type: GGUFValueType.STRING },
  "general.name": { value: "Qwen2.5 0.5B", type: GGUFValueType.STRING },
  "qwen2.block_count": count(24),
  "qwen2.context_length": count(32_768),
  "qwen2.embedding_length": count(896),
  "qwen2.attention.head_count": count(14),
  "qwen2.attention.head_count_kv": {
    value: Array(24).fill(2),
    type: GGUFValueType.ARRAY,
    subType: GGUFValueType.UINT32,
  },
} as unknown as GGUFTypedMetadata;
const HEADER = serializeGgufMetadata(METADATA);
/** Without the padding. */
const METADATA_BYTES = serializeGgufMetadata(METADATA, { alignment: 1 }).length;
/** A header, and what would be tensors. */
const FILE = new Uint8Array([...HEADER, ...new Uint8Array(4096)]);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "kv-gguf-"));
});
afterAll(() => rm(folder, { recursive: true }));

describe("readGgufFile", () => {
  test("reads the shape, the name and the size of the weights", async () => {
    const path = join(folder, "model.gguf");
    await writeFile(path, FILE);
    const { shape, name, weightsBytes } = await readGgufFile(path);
    expect(growthBytesPerToken(shape)).toBe(12_288);
    expect({ name, weightsBytes, context: shape.maxContextTokens }).toEqual({
      name: "Qwen2.5 0.5B",
      weightsBytes: FILE.length,
      context: 32_768,
    });
  });

  test("counts all shards", async () => {
    for (const shard of ["00001", "00002"]) await writeFile(join(folder, `big-${shard}-of-00002.gguf`), FILE);
    expect((await readGgufFile(join(folder, "big-00001-of-00002.gguf"))).weightsBytes).toBe(2 * FILE.length);
  });

  test("says what is wrong with a file that is none", async () => {
    const path = join(folder, "broken.gguf");
    await writeFile(path, "not a model");
    await expect(readGgufFile(path)).rejects.toMatchObject({ code: "GGUF_READ", file: path });
    await expect(readGgufFile(join(folder, "absent.gguf"))).rejects.toMatchObject({ code: "GGUF_READ" });
  });
});

test("a file that is cut off in its metadata is refused, wherever that is", async () => {
  const path = join(folder, "cut.gguf");
  for (let bytes = METADATA_BYTES - 1; bytes > 0; bytes -= 7) {
    await expect(readGgufBlob(new Blob([HEADER.slice(0, bytes)]))).rejects.toMatchObject({ code: "GGUF_READ" });
  }
  await writeFile(path, HEADER.slice(0, HEADER.length - 100));
  await expect(readGgufFile(path)).rejects.toThrow(/cut\.gguf is not a GGUF file that can be read: it ends before/);
});

test("a header is read with its padding and without", async () => {
  for (const bytes of [METADATA_BYTES, HEADER.length]) {
    expect((await readGgufBlob(new Blob([HEADER.slice(0, bytes)]))).shape.layers).toHaveLength(24);
  }
});

test("readGgufBlob reads what a page was given", async () => {
  const { shape, weightsBytes } = await readGgufBlob(new Blob([FILE]));
  expect(shape.layers).toHaveLength(24);
  expect(weightsBytes).toBe(FILE.length);
  await expect(readGgufBlob(new Blob(["no"]))).rejects.toMatchObject({ code: "GGUF_READ" });
});
