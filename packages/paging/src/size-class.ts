import { checkInteger } from "./check.ts";

/** Blocks of one size. */
export interface SizeClassSpec {
  numBlocks: number;
  /** Default 1: then bytes count blocks. */
  bytesPerBlock?: number;
}

/** Blocks of one size and where they stand among all blocks of the pool: `[firstBlock, firstBlock + numBlocks)`. */
export interface SizeClass {
  readonly numBlocks: number;
  readonly bytesPerBlock: number;
  readonly firstBlock: number;
}

/** Most sizes that the blocks of one pool have. */
const MAX_SIZES = 16;

/** Numbers the blocks of all sizes, one size behind the other. @throws InvalidOptionError */
export function sizeClasses(specs: readonly SizeClassSpec[]): SizeClass[] {
  checkInteger("number of block sizes", specs.length, 1, MAX_SIZES);
  let firstBlock = 0;
  return specs.map((spec, i) => {
    const of = i === 0 ? "" : ` of size class ${i}`;
    const numBlocks = checkInteger(`numBlocks${of}`, spec.numBlocks, 1, 2 ** 31 - 1 - firstBlock);
    const bytesPerBlock = checkInteger(`bytesPerBlock${of}`, spec.bytesPerBlock ?? 1, 1, Number.MAX_SAFE_INTEGER);
    firstBlock += numBlocks;
    return { numBlocks, bytesPerBlock, firstBlock: firstBlock - numBlocks };
  });
}
