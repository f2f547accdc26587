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

/** An array in device memory holds a number that does not fit, found because contents are checked. Nothing was queued. */
export class ContentsError extends RangeError {
  override readonly name = "ContentsError";
  readonly code = "CONTENTS";

  constructor(
    readonly argument: string,
    readonly index: number,
    readonly value: number,
    readonly wanted: string,
  ) {
    super(`${argument}: element ${index} is ${value}, wanted ${wanted}`);
  }
}
