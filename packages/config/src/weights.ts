import { InvalidConfigError } from "./errors.ts";
import { checkCount, isRecord } from "./kv-cache-config.ts";

/**
 * Bytes of a model's weights from its parsed `model.safetensors.index.json`: the total that the file states.
 *
 * @throws InvalidConfigError if it states none
 */
export function weightsFromIndex(index: unknown): number {
  if (!isRecord(index))
    throw new InvalidConfigError("index", index, "the object that a model.safetensors.index.json holds");
  const metadata = index["metadata"];
  if (!isRecord(metadata)) throw new InvalidConfigError("metadata", metadata, "an object with total_size");
  const bytes = metadata["total_size"];
  checkCount("metadata.total_size", bytes, 0);
  return bytes;
}
