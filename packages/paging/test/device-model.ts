import type { BlockOperation, BlockTable } from "../src/index.ts";

/** What stands in a place of a scrubbed or new block. */
export const EMPTY = -1;

/**
 * The memory that block tables are about, one number per token place, written the way a device would be: work first, then
 * the new tokens. What a sequence reads back must be its own tokens.
 */
export class DeviceModel {
  readonly #places: Int32Array;

  constructor(
    numBlocks: number,
    readonly tokensPerBlock: number,
  ) {
    this.#places = new Int32Array(numBlocks * tokensPerBlock).fill(EMPTY);
  }

  /** Does scrubs and copies in the order in which they were decided. */
  work(operations: readonly BlockOperation[]): void {
    const size = this.tokensPerBlock;
    for (const operation of operations) {
      if (operation.kind === "scrub") {
        for (const block of operation.blocks) this.#places.fill(EMPTY, block * size, (block + 1) * size);
      } else {
        const from = operation.from * size;
        this.#places.copyWithin(operation.to * size, from, from + operation.numTokens);
      }
    }
  }

  /** Writes the tokens of `[from, tokens.length)` to the slots of a sequence. */
  write(table: BlockTable, tokens: readonly number[], from: number, group = 0): void {
    for (let position = from; position < tokens.length; position++) {
      const slot = table.slot(position, group);
      if (slot >= 0) this.#places[slot] = tokens[position] as number;
    }
  }

  /** What a sequence reads; `EMPTY` where a window has left. */
  read(table: BlockTable, group = 0): number[] {
    return Array.from({ length: table.length }, (_, position) => {
      const slot = table.slot(position, group);
      return slot < 0 ? EMPTY : (this.#places[slot] as number);
    });
  }

  /** The places of one block. */
  block(block: number): number[] {
    return Array.from(this.#places.subarray(block * this.tokensPerBlock, (block + 1) * this.tokensPerBlock));
  }
}
