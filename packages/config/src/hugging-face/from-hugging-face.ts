import { trustShape } from "../check-shape.ts";
import { ConfigReader } from "../config-reader.ts";
import type { KvDtype } from "../dtype.ts";
import { InvalidConfigError, UnsupportedModelError } from "../errors.ts";
import { isRecord } from "../kv-cache-config.ts";
import type { LayerShape } from "../layer-shape.ts";
import type { ModelShape } from "../model-shape.ts";
import { CACHE_KEYS, families, TEXT_TYPE_OF } from "./families.ts";
import { numNextTokenLayers } from "./layer-types.ts";

/** What else to read from a `config.json`. */
export interface FromHuggingFaceOptions {
  /** Adds the layers that predict further tokens (MTP), which have a cache only when speculative decoding uses them. */
  readonly nextTokenLayers?: boolean;
}

const TEXT_KEYS = ["text_config", "llm_config", "language_config"] as const;
const CONTEXT_KEYS = [
  "max_position_embeddings",
  "n_positions",
  "max_seq_len",
  "max_sequence_length",
  "seq_length",
  "model_max_length",
  "max_context_length",
  "max_target_positions",
  "n_ctx",
] as const;

/**
 * The shape of a model from its parsed `config.json`: every family in `supportedModelTypes`, the text part of multimodal
 * files included. What had to come from a default is listed in `assumptions`.
 *
 * @throws UnsupportedModelError if the model type, or a key that changes the cache, is not known
 * @throws InvalidConfigError if a value is missing, of the wrong type, out of bounds, or contradicts another
 */
export function fromHuggingFace(config: unknown, options: FromHuggingFaceOptions = {}): ModelShape {
  const reader = textReader(config);
  const family = families()[reader.modelType];
  if (family === undefined) throw new Error("a reader is only made for a known family");
  const layers = family.read(reader);
  refuseUnreadKeys(reader);
  const extra = options.nextTokenLayers === true ? nextTokenLayers(reader, layers) : [];
  const encoderLayers = encoderLayersOf(reader, layers);
  return trustShape({
    modelType: reader.modelType,
    layers: [...layers, ...extra],
    ...(encoderLayers === undefined ? {} : { encoderLayers }),
    maxContextTokens: contextOf(reader),
    dtype: dtypeOf(reader, "torch_dtype") ?? dtypeOf(reader, "dtype") ?? outerDtype(config),
    stateDtype: dtypeOf(reader, "mamba_ssm_dtype") ?? dtypeOf(reader, "mamba_ssm_cache_dtype"),
    assumptions: reader.assumptions,
  });
}

/** Every `model_type` that `fromHuggingFace` reads. */
export function supportedModelTypes(): readonly string[] {
  return [...new Set([...Object.keys(families()), ...Object.keys(TEXT_TYPE_OF)])].sort((left, right) =>
    left.localeCompare(right),
  );
}

function textReader(config: unknown): ConfigReader {
  if (!isRecord(config)) throw new InvalidConfigError("config", config, "the object that a config.json holds");
  const outerType = modelTypeOf(config, "");
  const { values, path } = textPart(config, "");
  const modelType = path === "" ? outerType : (modelTypeOf(values, path) ?? TEXT_TYPE_OF[outerType ?? ""]);
  if (modelType === undefined) throw new InvalidConfigError(`${path}model_type`, undefined, "a string");
  if (!Object.hasOwn(families(), modelType)) {
    throw new UnsupportedModelError(modelType, `${path}model_type`, modelType, "a model type that is known here");
  }
  return new ConfigReader(values, path, modelType, families()[modelType]?.defaults ?? {}, []);
}

function modelTypeOf(values: Readonly<Record<string, unknown>>, path: string): string | undefined {
  const value = values["model_type"];
  if (value === undefined || value === null) return undefined;
  if (typeof value === "string") return value;
  throw new InvalidConfigError(`${path}model_type`, value, "a string");
}

/** The object with the text model's keys: the file itself, or what it nests. */
function textPart(
  values: Readonly<Record<string, unknown>>,
  path: string,
): { values: Readonly<Record<string, unknown>>; path: string } {
  if (isRecord(values["thinker_config"])) return textPart(values["thinker_config"], `${path}thinker_config.`);
  const key = TEXT_KEYS.find((each) => values[each] !== undefined && values[each] !== null);
  if (key === undefined) return { values, path };
  const nested = values[key];
  if (isRecord(nested)) return { values: nested, path: `${path}${key}.` };
  throw new InvalidConfigError(`${path}${key}`, nested, "an object");
}

function refuseUnreadKeys(reader: ConfigReader): void {
  for (const key of CACHE_KEYS) {
    const value = reader.values[key];
    if (value === undefined || value === null || value === false || reader.wasRead(key)) continue;
    reader.unsupported(key, value, `not there: what it means for ${reader.modelType} is not known here`);
  }
}

/** The layers for further tokens are of the kind of the last layer that keeps every token. */
function nextTokenLayers(reader: ConfigReader, layers: readonly LayerShape[]): LayerShape[] {
  const count = numNextTokenLayers(reader);
  const model = layers.findLast((layer) => layer.kind === "full" || layer.kind === "latent") ?? layers.at(-1);
  const next = Math.max(-1, ...layers.map((layer) => layer.index)) + 1;
  if (count === 0 || model === undefined) return [];
  reader.assume(`${count} layers for further tokens, each like the last ${model.kind} layer`);
  return Array.from({ length: count }, (_, i) => ({ ...model, index: next + i }));
}

/** Only files of encoder-decoder models count them; their `num_layers` is the encoder's. */
function encoderLayersOf(reader: ConfigReader, layers: readonly LayerShape[]): number | undefined {
  if (!layers.some(({ kind }) => kind === "cross")) return undefined;
  return reader.optionalLayerCount("encoder_layers", "num_layers");
}

function contextOf(reader: ConfigReader): number | null {
  return reader.optionalTokens(...CONTEXT_KEYS) ?? null;
}

const DTYPES: Readonly<Record<string, KvDtype>> = {
  float16: "fp16",
  half: "fp16",
  bfloat16: "bf16",
  float32: "fp32",
  float: "fp32",
};

function dtypeOf(reader: ConfigReader, key: string): KvDtype | null {
  return namedDtype(reader.values[key]);
}

function outerDtype(config: unknown): KvDtype | null {
  return isRecord(config) ? (namedDtype(config["torch_dtype"]) ?? namedDtype(config["dtype"])) : null;
}

function namedDtype(value: unknown): KvDtype | null {
  const name = typeof value === "string" ? value.replace(/^torch\./, "") : "";
  return Object.hasOwn(DTYPES, name) ? (DTYPES[name] as KvDtype) : null;
}
