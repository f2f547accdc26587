import { elementBytes, isKvDtype, KV_DTYPES, type KvDtype } from "./dtype.ts";
import { InvalidConfigError } from "./errors.ts";
import { exactProduct } from "./exact.ts";
import { isRecord } from "./kv-cache-config.ts";

/** Values that share a scale, with what they take together; and what every head's row takes on top. */
interface Packing {
  readonly groupElements: number;
  readonly groupBytes: number;
  readonly scaleBytesPerHead: number;
}

/** A type with scales of its own. */
export type PackedType = "int8" | "int4" | "q8_0" | "q5_1" | "q5_0" | "q4_1" | "q4_0" | "iq4_nl" | "mxfp4" | "nvfp4";

const packed = (groupElements: number, groupBytes: number, scaleBytesPerHead = 0): Packing => ({
  groupElements,
  groupBytes,
  scaleBytesPerHead,
});

/**
 * Types with scales. `int8`, `int4`: one fp32 scale per token and head. The others are ggml's blocks: so many values and
 * their scale in so many bytes (`ggml-common.h`).
 */
const PACKINGS: Readonly<Record<PackedType, Packing>> = {
  int8: packed(1, 1, 4),
  int4: packed(2, 1, 4),
  q8_0: packed(32, 34),
  q5_1: packed(32, 24),
  q5_0: packed(32, 22),
  q4_1: packed(32, 20),
  q4_0: packed(32, 18),
  iq4_nl: packed(32, 18),
  mxfp4: packed(32, 17),
  nvfp4: packed(64, 36),
};

/**
 * How elements are stored. `fp8_ds_mla` is the row of 656 bytes that DeepSeek's latent takes in FlashMLA: 512 bytes of
 * fp8, four fp32 scales, and the 64 rotary values in bf16. It fits latent layers only.
 */
export type KvType = KvDtype | PackedType | "fp8_ds_mla";

/** Every `KvType`. */
export const KV_TYPES: readonly KvType[] = [...KV_DTYPES, ...(Object.keys(PACKINGS) as PackedType[]), "fp8_ds_mla"];

/** How an indexer's keys are stored: `fp8_scaled` adds one fp32 scale per 128 values, `mxfp4` one byte per 32 half-byte values. */
export type IndexerType = KvDtype | "fp8_scaled" | "mxfp4";

/** Every `IndexerType`. */
export const INDEXER_TYPES: readonly IndexerType[] = [...KV_DTYPES, "fp8_scaled", "mxfp4"];

/** Everything that turns counted elements into bytes. */
export interface KvFormat {
  /** Keys, latents and compressed entries. */
  readonly keys: KvType;
  readonly values: KvType;
  /** The keys of sparse-attention indexers. */
  readonly indexer: IndexerType;
  /** The convolution columns of recurrent layers. */
  readonly conv: KvDtype;
  /** The state of recurrent layers. */
  readonly state: KvDtype;
  /** Model layers (from 0) that keep their keys and values as `exemptType`. */
  readonly exemptLayers: readonly number[];
  readonly exemptType: KvType;
}

/** A type for keys and values alike, or any part of a format; the rest is filled in by `resolveFormat`. */
export type KvFormatInput = KvType | Partial<KvFormat>;

/**
 * A complete format. Missing parts: keys fp16; values as keys; an indexer as the keys where they are a plain type and
 * `fp8_scaled` otherwise; convolution fp16 and state fp32, as engines that serve in half precision keep them.
 *
 * @throws InvalidConfigError if a type is not known
 */
export function resolveFormat(input: KvFormatInput = "fp16"): KvFormat {
  if (typeof input === "string") return resolveFormat({ keys: input });
  if (!isRecord(input)) throw new InvalidConfigError("format", input, "a type's name or an object");
  const keys = checkedType("format.keys", input.keys ?? "fp16", KV_TYPES);
  return {
    keys,
    values: checkedType("format.values", input.values ?? keys, KV_TYPES),
    indexer: checkedType("format.indexer", input.indexer ?? (isKvDtype(keys) ? keys : "fp8_scaled"), INDEXER_TYPES),
    conv: checkedType("format.conv", input.conv ?? "fp16", KV_DTYPES),
    state: checkedType("format.state", input.state ?? "fp32", KV_DTYPES),
    exemptLayers: checkedLayers(input.exemptLayers ?? []),
    exemptType: checkedType("format.exemptType", input.exemptType ?? "fp16", KV_TYPES),
  };
}

function checkedType<Type extends string>(field: string, value: unknown, types: readonly Type[]): Type {
  const type = types.find((each) => each === value);
  if (type === undefined) throw new InvalidConfigError(field, value, `one of ${types.join(", ")}`);
  return type;
}

function checkedLayers(layers: readonly number[]): readonly number[] {
  const good = Array.isArray(layers) && layers.every((layer) => Number.isSafeInteger(layer) && layer >= 0);
  if (!good) throw new InvalidConfigError("format.exemptLayers", layers, "a list of layer numbers from 0");
  return layers;
}

/**
 * Bytes of one token's row: `numHeads` heads of `headDim` elements.
 *
 * @throws InvalidConfigError if the row is not a whole number of the type's groups
 */
export function rowBytes(type: KvType, numHeads: number, headDim: number): number {
  const elements = numHeads * headDim;
  if (isKvDtype(type)) return elements * elementBytes(type);
  if (type === "fp8_ds_mla")
    throw new InvalidConfigError("format", type, "a type for keys and values; this one is for latents");
  const { groupElements, groupBytes, scaleBytesPerHead } = PACKINGS[type];
  if (elements % groupElements !== 0) {
    throw new InvalidConfigError(
      "format",
      type,
      `a type whose groups of ${groupElements} divide a row of ${elements} values`,
    );
  }
  return (elements / groupElements) * groupBytes + (headDim > 0 ? numHeads * scaleBytesPerHead : 0);
}

/** Bytes of one token's latent and rotary key. Throws as `rowBytes`. */
export function latentRowBytes(type: KvType, latentDim: number, ropeDim: number): number {
  if (type !== "fp8_ds_mla") return rowBytes(type, 1, latentDim + ropeDim);
  if (latentDim % 128 !== 0)
    throw new InvalidConfigError("format", type, "a type that fits: the latent is no multiple of 128");
  return latentDim + (latentDim / 128) * 4 + ropeDim * 2;
}

/** Bytes of one indexer key. */
export function indexerKeyBytes(type: IndexerType, keyDim: number): number {
  if (type === "fp8_scaled") return keyDim + Math.ceil(keyDim / 128) * 4;
  if (type === "mxfp4") return Math.ceil(keyDim / 2) + Math.ceil(keyDim / 32);
  return keyDim * elementBytes(type);
}

/** The type of a layer's keys, then of its values. */
export function typesOfLayer(format: KvFormat, index: number): readonly [KvType, KvType] {
  return format.exemptLayers.includes(index) ? [format.exemptType, format.exemptType] : [format.keys, format.values];
}

/** Bytes of `count` plain elements, exact. */
export function plainBytes(what: string, type: KvDtype, ...counts: readonly number[]): number {
  return exactProduct(what, elementBytes(type), ...counts);
}
