import { InvalidConfigError, UnsupportedModelError } from "./errors.ts";
import { isRecord } from "./kv-cache-config.ts";

/** More than any model has; small enough that products of three widths stay exact. */
const LARGEST_WIDTH = 131_072;
const MOST_LAYERS = 10_000;

type Values = Readonly<Record<string, unknown>>;

/**
 * Reads a model's configuration: every value is checked where it is read, keys that were looked at are remembered, and what
 * was taken from defaults is collected. `null` counts as missing, as Hugging Face files use it.
 */
export class ConfigReader {
  /** Keys that were looked at; null in a nested object, where nobody asks. */
  readonly #seen: Set<string> | null;

  constructor(
    readonly values: Values,
    readonly path: string,
    readonly modelType: string,
    readonly defaults: Values,
    readonly assumptions: string[],
    seen: Set<string> | null = new Set(),
  ) {
    this.#seen = seen;
  }

  /** The path of `key` as errors and assumptions show it. */
  at(key: string): string {
    return `${this.path}${key}`;
  }

  /** The value of the first of `keys` that is there, marking all as read; a class default is noted as an assumption. */
  value(...keys: readonly string[]): { readonly key: string; readonly value: unknown } | undefined {
    let key: string | undefined;
    for (const each of keys) {
      this.#seen?.add(each);
      if (key === undefined && this.has(each)) key = each;
    }
    if (key !== undefined) return { key, value: this.values[key] };
    // A key that is there as null was turned off by the file: its class default does not come back.
    if (keys.some((each) => this.values[each] === null)) return undefined;
    const preset = keys.find((each) => Object.hasOwn(this.defaults, each));
    if (preset === undefined) return undefined;
    this.assume(
      `${this.at(preset)} is missing: ${JSON.stringify(this.defaults[preset])}, the default of ${this.modelType}`,
    );
    return { key: preset, value: this.defaults[preset] };
  }

  has(key: string): boolean {
    return this.values[key] !== undefined && this.values[key] !== null;
  }

  optionalCount(...keys: readonly string[]): number | undefined {
    const found = this.value(...keys);
    if (found === undefined) return undefined;
    return checkedCount(this.at(found.key), found.value, LARGEST_WIDTH);
  }

  count(...keys: readonly string[]): number {
    return this.optionalCount(...keys) ?? this.missing(keys, `a whole number from 1 to ${LARGEST_WIDTH}`);
  }

  /** A count of tokens: a window, a chunk, a context. */
  optionalTokens(...keys: readonly string[]): number | undefined {
    const found = this.value(...keys);
    if (found === undefined) return undefined;
    return checkedCount(this.at(found.key), found.value, Number.MAX_SAFE_INTEGER);
  }

  tokens(...keys: readonly string[]): number {
    return this.optionalTokens(...keys) ?? this.missing(keys, "a whole number of tokens from 1");
  }

  optionalLayerCount(...keys: readonly string[]): number | undefined {
    const found = this.value(...keys);
    if (found === undefined) return undefined;
    return checkedCount(this.at(found.key), found.value, MOST_LAYERS);
  }

  layerCount(...keys: readonly string[]): number {
    return this.optionalLayerCount(...keys) ?? this.missing(keys, `a whole number from 1 to ${MOST_LAYERS}`);
  }

  /** A number of extra layers that may be none. */
  extraLayers(...keys: readonly string[]): number {
    const found = this.value(...keys);
    return found === undefined ? 0 : checkedCount(this.at(found.key), found.value, MOST_LAYERS, 0);
  }

  flag(key: string): boolean | undefined {
    const found = this.value(key);
    if (found === undefined) return undefined;
    if (typeof found.value === "boolean") return found.value;
    throw new InvalidConfigError(this.at(key), found.value, "true or false");
  }

  text(key: string): string | undefined {
    const found = this.value(key);
    if (found === undefined) return undefined;
    if (typeof found.value === "string") return found.value;
    throw new InvalidConfigError(this.at(key), found.value, "a string");
  }

  /** A list with one item per layer. Up to `extraLayers` more items, for layers outside the main stack, are cut off. */
  list(key: string, numLayers: number, extraLayers = 0): readonly unknown[] | undefined {
    const items = this.anyList(key);
    if (items === undefined) return undefined;
    if (items.length < numLayers || items.length > numLayers + extraLayers) {
      throw new InvalidConfigError(this.at(key), items, `a list of ${numLayers}, one item per layer`);
    }
    return items.length === numLayers ? items : items.slice(0, numLayers);
  }

  anyList(key: string): readonly unknown[] | undefined {
    const found = this.value(key);
    if (found === undefined) return undefined;
    if (Array.isArray(found.value) && found.value.length <= MOST_LAYERS) return found.value;
    throw new InvalidConfigError(this.at(key), found.value, `a list of at most ${MOST_LAYERS} items`);
  }

  /** A list of layer numbers below `numLayers`, counted from `first`; given back counted from 0. */
  layerSet(key: string, numLayers: number, first = 0): ReadonlySet<number> | undefined {
    const items = this.anyList(key);
    if (items === undefined) return undefined;
    const allowed = `a layer number from ${first} to ${numLayers - 1 + first}, each once`;
    const layers = new Set<number>();
    items.forEach((item, i) => {
      const layer = typeof item === "number" ? item - first : Number.NaN;
      if (!Number.isInteger(layer) || layer < 0 || layer >= numLayers || layers.has(layer)) {
        throw new InvalidConfigError(`${this.at(key)}[${i}]`, item, allowed);
      }
      layers.add(layer);
    });
    return layers;
  }

  /** A reader of the object at `key`, which shares this one's assumptions. */
  nested(key: string): ConfigReader | undefined {
    const found = this.value(key);
    if (found === undefined) return undefined;
    return this.item(key, found.value);
  }

  /** A reader of an object that is an item of a list. */
  item(key: string, value: unknown): ConfigReader {
    if (!isRecord(value)) throw new InvalidConfigError(this.at(key), value, "an object");
    return new ConfigReader(value, `${this.at(key)}.`, this.modelType, {}, this.assumptions, null);
  }

  assume(sentence: string): void {
    this.assumptions.push(sentence);
  }

  /** Marks keys as understood although they change nothing. */
  ignore(...keys: readonly string[]): void {
    for (const key of keys) this.#seen?.add(key);
  }

  wasRead(key: string): boolean {
    return this.#seen?.has(key) === true;
  }

  invalid(key: string, value: unknown, allowed: string): never {
    throw new InvalidConfigError(this.at(key), value, allowed);
  }

  unsupported(key: string, value: unknown, expected: string): never {
    throw new UnsupportedModelError(this.modelType, this.at(key), value, expected);
  }

  missing(keys: readonly string[], allowed: string): never {
    throw new InvalidConfigError(keys.map((key) => this.at(key)).join(" or "), undefined, allowed);
  }
}

/** A whole number in bounds, or an `InvalidConfigError` with its path. */
export function checkedCount(field: string, value: unknown, most: number = LARGEST_WIDTH, least = 1): number {
  if (Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most) return value as number;
  throw new InvalidConfigError(field, value, `a whole number from ${least} to ${most}`);
}
