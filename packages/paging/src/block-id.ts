/** Number of a block in the pool, from 0; says nothing about where its bytes are. */
export type BlockId = number & { readonly __block: never };

/** Stands where there is no block: a place of a block table that a window has left, an absent node. */
export const NONE = -1;
