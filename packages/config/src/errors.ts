/** A value that was given is not one that can be used. `field` is the path of the key, as in `text_config.head_dim`. */
export class InvalidConfigError extends Error {
  override readonly name = "InvalidConfigError";
  readonly code = "INVALID_CONFIG";

  constructor(
    readonly field: string,
    readonly value: unknown,
    readonly allowed: string,
  ) {
    super(`${field} must be ${allowed}, got ${describeValue(value)}`);
  }
}

/**
 * A size is beyond `Number.MAX_SAFE_INTEGER` bytes, where a number no longer holds every integer. `bytes` is the exact
 * size; fractions of a byte, which block formats have per token, are rounded up.
 */
export class SizeOverflowError extends Error {
  override readonly name = "SizeOverflowError";
  readonly code = "SIZE_OVERFLOW";
  readonly allowedBytes: number = Number.MAX_SAFE_INTEGER;

  constructor(
    readonly what: string,
    readonly bytes: bigint,
  ) {
    super(`${what} would be ${bytes} bytes, more than ${Number.MAX_SAFE_INTEGER}; lower the context or the batch`);
  }
}

/** A value as an error message shows it: short, and with its type where the type is what is wrong. */
export function describeValue(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(shorten(value));
  if (typeof value === "bigint") return `${value}n (bigint)`;
  if (typeof value === "function" || typeof value === "symbol") return `a ${typeof value}`;
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === "object" && value !== null) return "an object";
  return String(value);
}

function shorten(text: string): string {
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/**
 * A model, or a key of it, whose meaning for the cache is not known here. `key` is the path of what was not understood;
 * nothing was guessed.
 */
export class UnsupportedModelError extends Error {
  override readonly name = "UnsupportedModelError";
  readonly code = "UNSUPPORTED_MODEL";

  constructor(
    readonly modelType: string,
    readonly key: string,
    readonly value: unknown,
    readonly expected: string,
  ) {
    super(`model type ${JSON.stringify(shorten(modelType))}: ${key} is ${describeValue(value)}, expected ${expected}`);
  }
}

/**
 * An engine, at the version that its rule states, does not run a model with this kind of layer at all: there is no size to
 * give. `reason` is a sentence that the rule's page documents.
 */
export class NotRunByEngineError extends UnsupportedModelError {
  constructor(
    readonly rule: string,
    readonly version: string,
    modelType: string,
    layer: { readonly index: number; readonly kind: string },
    readonly reason: string,
  ) {
    super(modelType, `layers[${layer.index}].kind`, layer.kind, `a kind of layer that ${rule} runs`);
    this.message = `${rule} (${version}) does not run ${JSON.stringify(shorten(modelType))}, whose layer ${layer.index} is of the kind ${layer.kind}: ${reason}`;
  }
}
