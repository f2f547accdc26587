import type { BlockOperation, BlockTable } from "../src/index.ts";

/** What stands in a place of a scrubbed or new block. */
export const EMPTY = -1;

/** Checksum of tokens: what a state that has seen them is in this model. */
export function stateOf(tokens: readonly number[]): number {
  return extendState(0, tokens);
}

function extendState(state: number, tokens: readonly number[]): number {
  return tokens.reduce((sum, token) => (Math.imul(sum, 31) + token + 1) | 0, state);
}

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

  /**
   * Does scrubs and copies in the order in which they were decided. `state` is the running state of the sequence whose
   * tokens come now: when it is to be copied at a position among these it is computed up to there first, as whoever runs
   * the model has to.
   */
  work(
    operations: readonly BlockOperation[],
    state?: { group: number; block: number; tokens: readonly number[] },
  ): void {
    const size = this.tokensPerBlock;
    for (const operation of operations) {
      if (operation.kind === "scrub") {
        for (const block of operation.blocks) this.#places.fill(EMPTY, block * size, (block + 1) * size);
        continue;
      }
      const { group, from, to, numTokens } = operation;
      if (group === state?.group && from === state.block) this.#computeState(from, state.tokens.slice(0, numTokens));
      const copied = group === state?.group ? size : numTokens;
      this.#places.copyWithin(to * size, from * size, from * size + copied);
    }
  }

  /** Writes the tokens of `[from, tokens.length)` to the slots of a sequence. */
  write(table: BlockTable, tokens: readonly number[], from: number, group = 0): void {
    for (let position = from; position < tokens.length; position++) {
      const slot = table.slot(position, group);
      if (slot >= 0) this.#places[slot] = tokens[position] as number;
    }
  }

  /** Computes the running state of a sequence from what it was: a checksum and a length stand for it. */
  writeState(table: BlockTable, tokens: readonly number[], group: number): void {
    this.#computeState(table.blocks(group)[0] as number, tokens);
  }

  #computeState(block: number, tokens: readonly number[]): void {
    const at = block * this.tokensPerBlock;
    const seen = Math.max(0, this.#places[at] as number);
    this.#places[at + 1] = extendState(seen === 0 ? 0 : (this.#places[at + 1] as number), tokens.slice(seen));
    this.#places[at] = tokens.length;
  }

  /** The running state of a sequence. */
  readState(table: BlockTable, group: number): number {
    return this.#places[(table.blocks(group)[0] as number) * this.tokensPerBlock + 1] as number;
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
