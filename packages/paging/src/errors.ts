/** An option, an argument or a specification has a value that is not allowed. */
export class InvalidOptionError extends Error {
  readonly code = "INVALID_OPTION";

  constructor(
    readonly option: string,
    readonly value: unknown,
    readonly allowed: string,
  ) {
    super(`${option} is ${String(value)}; it must be ${allowed}`);
  }
}

/** A token is not an integer from 0 to 2^31 - 1. */
export class InvalidTokenError extends Error {
  readonly code = "INVALID_TOKEN";

  constructor(
    readonly position: number,
    readonly token: unknown,
  ) {
    super(`token ${position} of the input is ${String(token)}; tokens are integers from 0 to 2147483647`);
  }
}

/** Free and evictable blocks together cannot cover a request. Nothing was taken. */
export class OutOfBlocksError extends Error {
  readonly code = "OUT_OF_BLOCKS";

  constructor(
    readonly wantedBlocks: number,
    readonly freeBlocks: number,
    readonly evictableBlocks: number,
    readonly pinnedBlocks: number,
    /** Blocks of the size that was wanted, and that size. */
    readonly numBlocks: number,
    readonly bytesPerBlock: number,
  ) {
    const missing = wantedBlocks - freeBlocks - evictableBlocks;
    const pins = pinnedBlocks > 0 ? `, release pins (they hold ${pinnedBlocks})` : "";
    const size = bytesPerBlock > 1 ? ` of ${bytesPerBlock} bytes` : "";
    super(
      `need ${wantedBlocks} blocks${size}, ${freeBlocks} of ${numBlocks} are free and ${evictableBlocks} evictable: ` +
        `${missing} too few; release or truncate sequences${pins}, or add blocks`,
    );
  }
}

/** A namespace would hold more blocks than its quota allows. Nothing was taken. */
export class QuotaError extends Error {
  readonly code = "QUOTA_EXCEEDED";

  constructor(
    readonly namespace: string,
    readonly wantedBlocks: number,
    readonly usedBlocks: number,
    readonly maxUsedBlocks: number,
  ) {
    super(
      `namespace ${JSON.stringify(namespace)} needs ${wantedBlocks} more blocks, uses ${usedBlocks} and may use ` +
        `${maxUsedBlocks}; release its sequences or raise its quota`,
    );
  }
}

/** Pinning would keep more blocks than the cap on pins allows. Nothing was pinned. */
export class PinLimitError extends Error {
  readonly code = "PIN_LIMIT";

  constructor(
    readonly wantedBlocks: number,
    readonly pinnedBlocks: number,
    readonly maxPinnedBlocks: number,
  ) {
    super(
      `pinning needs ${wantedBlocks} more blocks, ${pinnedBlocks} are pinned and ${maxPinnedBlocks} may be; ` +
        "release a pin, pin a shorter prefix or raise maxPinnedBlocks",
    );
  }
}

/** A position lies outside a sequence. */
export class PositionError extends Error {
  readonly code = "POSITION_OUT_OF_RANGE";

  constructor(
    readonly operation: string,
    readonly position: number,
    readonly sequenceLength: number,
  ) {
    super(`${operation} wants position ${position}; the sequence has 0 to ${sequenceLength}`);
  }
}

/** Going back to a position needs blocks that a layer group has given back. Nothing was changed. */
export class LostBlocksError extends Error {
  readonly code = "LOST_BLOCKS";

  constructor(
    readonly operation: string,
    readonly group: string,
    readonly position: number,
  ) {
    super(
      `${operation} at position ${position} needs tokens that the layer group ${JSON.stringify(group)} no longer has; ` +
        "create the sequence anew from its tokens",
    );
  }
}

/** A sequence, pin or batch was used after it was disposed of. */
export class DisposedError extends Error {
  readonly code = "DISPOSED";

  constructor(readonly what: string) {
    super(`${what} was disposed of; create a new one`);
  }
}

/** The bookkeeping contradicts itself: a defect of this package. */
export class InvariantError extends Error {
  readonly code = "INVARIANT";

  constructor(
    readonly invariant: string,
    readonly found: string,
  ) {
    super(`${invariant}: ${found}; please report this with what led to it`);
  }
}
