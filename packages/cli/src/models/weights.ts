import { existsSync } from "node:fs";
import path from "node:path";
import { parseBytes, weightsFromIndex } from "@kv/config";
import { readGgufFile } from "@kv/config/gguf";
import { InputError } from "../input-error.ts";
import { type FoundModel, withPath } from "./find-model.ts";
import { readJsonFile } from "./json-file.ts";

/** Bytes of a model's weights and where that figure is from. */
export interface Weights {
  readonly bytes: number;
  /** Null for a number that was given. */
  readonly from: string | null;
}

const INDEX = "model.safetensors.index.json";

/**
 * The weights that an option gives: a size such as "16GB", a GGUF file, or a model.safetensors.index.json or its folder. Without it those
 * of the model itself, where it is a GGUF file or its folder has such an index; otherwise none.
 *
 * @throws InputError, InvalidConfigError, GgufReadError
 */
export async function findWeights(given: string | undefined, model: FoundModel): Promise<Weights | undefined> {
  if (given !== undefined) return existsSync(given) ? readWeights(given) : { bytes: sizeOf(given), from: null };
  if (model.weightsBytes !== undefined) return { bytes: model.weightsBytes, from: model.name };
  const index = path.join(model.name, INDEX);
  return model.source === "config.json" && existsSync(index) ? readWeights(index) : undefined;
}

async function readWeights(file: string): Promise<Weights> {
  if (file.toLowerCase().endsWith(".gguf")) return { bytes: (await readGgufFile(file)).weightsBytes, from: file };
  try {
    return { bytes: weightsFromIndex(readJsonFile(file, INDEX)), from: file };
  } catch (error) {
    throw withPath(file, error);
  }
}

function sizeOf(text: string): number {
  try {
    return parseBytes(text);
  } catch {
    throw new InputError(
      "--weights",
      `--weights ${text}: there is no such file, and it is no size such as "16GB" either`,
    );
  }
}
