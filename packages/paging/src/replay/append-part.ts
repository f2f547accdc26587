import type { BlockTable } from "../block-table.ts";
import { OutOfBlocksError } from "../errors.ts";

/**
 * Appends `tokens[from..to)` or, where there are no blocks for so many at once, a beginning of them: a window gives blocks
 * back between two parts. Returns where the next part begins.
 *
 * @throws OutOfBlocksError when not even one token fits
 */
export function appendPart(table: BlockTable, tokens: Int32Array, from: number, to: number): number {
  for (let end = to; ; end = from + Math.ceil((end - from) / 2)) {
    try {
      table.append(tokens.subarray(from, end));
      return end;
    } catch (error) {
      if (!(error instanceof OutOfBlocksError) || end - from <= 1) throw error;
    }
  }
}
