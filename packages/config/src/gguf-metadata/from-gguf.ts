import { ConfigReader } from "../config-reader.ts";
import { InvalidConfigError, UnsupportedModelError } from "../errors.ts";
import { isRecord } from "../kv-cache-config.ts";
import type { ModelShape } from "../model-shape.ts";
import { architectures } from "./architectures.ts";

/** Keys that change what a cache holds: a file with one that was not read is refused. */
const CACHE_KEYS: readonly string[] = [
  "attention.sliding_window",
  "attention.sliding_window_pattern",
  "attention.key_length_swa",
  "attention.shared_kv_layers",
  "attention.kv_lora_rank",
  "attention.key_length_mla",
  "attention.indexer.key_length",
  "attention.indexer.types",
  "attention.compress_ratios",
  "full_attention_interval",
  "ssm.state_size",
  "shortconv.l_cache",
  "kda.head_dim",
  "wkv.head_size",
];

/**
 * The shape of a model from the metadata of a GGUF file: a flat object with keys such as `llama.block_count`, whose values
 * may be numbers, bigints, booleans and lists with one item per layer.
 *
 * @throws UnsupportedModelError if the architecture, or a key that changes the cache, is not known
 * @throws InvalidConfigError if a value is missing, of the wrong type, out of bounds, or contradicts another
 */
export function fromGguf(metadata: unknown): ModelShape {
  if (!isRecord(metadata)) throw new InvalidConfigError("metadata", metadata, "the object with a GGUF file's metadata");
  const architecture = metadata["general.architecture"];
  if (typeof architecture !== "string") throw new InvalidConfigError("general.architecture", architecture, "a string");
  if (!Object.hasOwn(architectures(), architecture)) {
    throw new UnsupportedModelError(
      architecture,
      "general.architecture",
      architecture,
      "an architecture that is known here",
    );
  }
  const config = new ConfigReader(valuesOf(metadata, `${architecture}.`), `${architecture}.`, architecture, {}, []);
  const layers = architectures()[architecture]?.(config) ?? [];
  for (const key of CACHE_KEYS) {
    if (config.has(key) && !config.wasRead(key)) {
      config.unsupported(key, config.values[key], `not there: what it means for ${architecture} is not known here`);
    }
  }
  return {
    modelType: architecture,
    layers,
    maxContextTokens: config.optionalTokens("context_length") ?? null,
    dtype: null,
    stateDtype: null,
    assumptions: config.assumptions,
  };
}

/** Every architecture that `fromGguf` reads. */
export function supportedArchitectures(): readonly string[] {
  return Object.keys(architectures()).sort((left, right) => left.localeCompare(right));
}

/** The keys of one architecture without their prefix, bigints as numbers. */
function valuesOf(metadata: Readonly<Record<string, unknown>>, prefix: string): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(metadata)) {
    if (key.startsWith(prefix))
      values[key.slice(prefix.length)] = Array.isArray(value) ? value.map(plain) : plain(value);
  }
  return values;
}

function plain(value: unknown): unknown {
  return typeof value === "bigint" ? Number(value) : value;
}
