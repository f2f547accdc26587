import { isKvDtype, KV_DTYPES, type KvDtype } from "./dtype.ts";
import { InvalidConfigError } from "./errors.ts";

/** A cache whose layers all keep keys and values of every token, at one width. */
export interface KVCacheConfig {
  readonly numLayers: number;
  /** Tokens that each layer has room for. */
  readonly maxContextLength: number;
  readonly numKvHeads: number;
  /** Elements of one head, the same for keys and values. */
  readonly headDim: number;
  /** `"fp16"` unless given. */
  readonly dtype?: KvDtype;
}

/** A `KVCacheConfig` that was checked and has nothing left to default. Frozen. */
export type ResolvedKVCacheConfig = Readonly<Required<KVCacheConfig>>;

const COUNTS = ["numLayers", "maxContextLength", "numKvHeads", "headDim"] as const;

/**
 * Checks a configuration that may come from anywhere and fills in its dtype.
 *
 * @throws InvalidConfigError naming the first field that is wrong, its value and what is allowed
 */
export function validateConfig(config: KVCacheConfig): ResolvedKVCacheConfig {
  if (!isRecord(config)) {
    throw new InvalidConfigError("config", config, `an object with ${COUNTS.join(", ")}`);
  }
  for (const field of COUNTS) checkCount(field, config[field]);
  const { numLayers, maxContextLength, numKvHeads, headDim, dtype = "fp16" } = config;
  if (!isKvDtype(dtype)) throw new InvalidConfigError("dtype", dtype, `one of ${KV_DTYPES.join(", ")}`);
  return Object.freeze({ numLayers, maxContextLength, numKvHeads, headDim, dtype });
}

/**
 * Checks that `value` is a whole number from `least` (1 unless given) up to `Number.MAX_SAFE_INTEGER`.
 *
 * @throws InvalidConfigError otherwise
 */
export function checkCount(field: string, value: unknown, least = 1): asserts value is number {
  if (Number.isSafeInteger(value) && (value as number) >= least) return;
  throw new InvalidConfigError(field, value, `a whole number from ${least} to ${Number.MAX_SAFE_INTEGER}`);
}

/** True if `value` is an object with keys: neither null nor an array. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
