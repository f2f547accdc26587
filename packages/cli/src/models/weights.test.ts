import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { ModelShape } from "@kv/config";
import { afterAll, expect, test } from "vitest";
import { writeGguf } from "../../test/gguf-file.ts";
import type { FoundModel } from "./find-model.ts";
import { findWeights } from "./weights.ts";

const folder = mkdtempSync(path.join(tmpdir(), "kv-cli-"));
afterAll(() => rmSync(folder, { recursive: true }));

const MODEL: FoundModel = { name: "llama-3-8b", source: "preset", shape: {} as ModelShape, weightsBytes: undefined };
const INDEX = '{"metadata": {"total_size": 16060522496}, "weight_map": {}}';

test.each([
  ["16GB", 16e9],
  ["15 GiB", 15 * 2 ** 30],
  ["1048576", 2 ** 20],
])("a size: %s", async (text, bytes) => {
  expect(await findWeights(text, MODEL)).toEqual({ bytes, from: null });
});

test("an index of safetensors, and a GGUF file", async () => {
  const index = path.join(folder, "model.safetensors.index.json");
  writeFileSync(index, INDEX);
  expect(await findWeights(index, MODEL)).toEqual({ bytes: 16_060_522_496, from: index });
  expect(await findWeights(folder, MODEL)).toEqual({ bytes: 16_060_522_496, from: folder });
  const gguf = path.join(folder, "model.gguf");
  const bytes = writeGguf(gguf);
  expect(await findWeights(gguf, MODEL)).toEqual({ bytes, from: gguf });
});

test("without the option those of the model itself, where it has some", async () => {
  expect(await findWeights(undefined, MODEL)).toBeUndefined();
  const gguf: FoundModel = { ...MODEL, name: "a.gguf", source: "gguf", weightsBytes: 77 };
  expect(await findWeights(undefined, gguf)).toEqual({ bytes: 77, from: "a.gguf" });
  const snapshot = path.join(folder, "snapshot");
  mkdirSync(snapshot);
  const inFolder: FoundModel = { ...MODEL, name: snapshot, source: "config.json" };
  expect(await findWeights(undefined, inFolder)).toBeUndefined();
  writeFileSync(path.join(snapshot, "model.safetensors.index.json"), INDEX);
  expect(await findWeights(undefined, inFolder)).toMatchObject({ bytes: 16_060_522_496 });
  expect(await findWeights("1GB", inFolder)).toEqual({ bytes: 1e9, from: null });
});

test("what is neither a size nor a file is refused", async () => {
  await expect(findWeights("missing.gguf", MODEL)).rejects.toMatchObject({ code: "INPUT", input: "--weights" });
  const other = path.join(folder, "other.json");
  writeFileSync(other, "{}");
  await expect(findWeights(other, MODEL)).rejects.toThrow(`${other}: metadata must be`);
});
