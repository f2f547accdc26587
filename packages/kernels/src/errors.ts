/** An input has another size than the view asks for. `wanted` and `found` say it in elements or bytes. */
export class ShapeError extends Error {
  override readonly name = "ShapeError";
  readonly code = "SHAPE";

  constructor(
    readonly argument: string,
    readonly wanted: string,
    readonly found: string,
  ) {
    super(`${argument}: wanted ${wanted}, got ${found}`);
  }
}

/** An input's elements are of another type than the cache holds. */
export class DtypeError extends Error {
  override readonly name = "DtypeError";
  readonly code = "DTYPE";

  constructor(
    readonly argument: string,
    readonly wanted: string,
    readonly found: string,
  ) {
    super(`${argument}: wanted ${wanted}, got ${found}; convert the elements first`);
  }
}
