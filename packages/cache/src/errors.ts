/** Tokens past the end of the context. The cache is as it was. */
export class CacheFullError extends RangeError {
  override readonly name = "CacheFullError";
  readonly code = "CACHE_FULL";

  constructor(
    readonly position: number,
    readonly capacity: number,
    readonly amount: number,
  ) {
    super(
      `${amount} tokens at position ${position} do not fit in a context of ${capacity}; ${capacity - position} do. ` +
        "Reset the cache or allocate a longer context",
    );
  }
}

/** There is no layer of that number. */
export class LayerIndexError extends RangeError {
  override readonly name = "LayerIndexError";
  readonly code = "LAYER_INDEX";

  constructor(
    readonly layer: number,
    readonly numLayers: number,
  ) {
    super(`there is no layer ${layer}; the cache has layers 0 to ${numLayers - 1}`);
  }
}

/** A layer is of a kind that cannot be used like that. */
export class LayerKindError extends Error {
  override readonly name = "LayerKindError";
  readonly code = "LAYER_KIND";

  constructor(
    readonly layer: number,
    readonly kind: string,
    readonly reason: string,
  ) {
    super(`layer ${layer} is ${kind}; ${reason}`);
  }
}
