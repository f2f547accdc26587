import { NONE } from "./block-id.ts";
import type { BlockTable } from "./block-table.ts";
import { checkInteger } from "./check.ts";
import { InvalidOptionError } from "./errors.ts";

/** What kernels read of a batch. Give views of pinned memory to send all of it to the device at once. */
export interface BatchArrays {
  /** [maxSequences, maxBlocksPerSequence], padded with -1. */
  blockTables: Int32Array;
  /** [maxTokens]: the slot of each new token, those of a sequence together; -1 behind the last one. */
  slotMapping: Int32Array;
  /** [maxSequences]: tokens of each sequence, the new ones included; 0 behind the last one. */
  sequenceLengths: Int32Array;
  /** [maxSequences + 1]: where each sequence's new tokens begin; the first is 0. */
  queryOffsets: Int32Array;
}

/** Sizes of a batch, and which block tables go into it. */
export interface SequenceBatchOptions {
  tokensPerBlock: number;
  maxSequences: number;
  maxBlocksPerSequence: number;
  /** New tokens of all sequences together. Default: one each. */
  maxTokens?: number;
  /** The layer group, and which of its blocks per span. Default 0. */
  group?: number;
  part?: number;
  /** Number that block 0 of the batch has in the pool: that of the first block of the group's size. Default 0. */
  firstBlock?: number;
  /** Default: arrays of its own. */
  arrays?: BatchArrays;
}

/**
 * The block tables, slots and lengths of the sequences of one step, in arrays that are kept from step to step.
 *
 * Only what has changed since the last `prepare` is written: for a decode step one slot and one length per sequence, and a
 * table entry at a block's border. Whoever alternates between two sets of arrays needs two batches.
 */
export class SequenceBatch {
  readonly arrays: BatchArrays;
  readonly #options: SequenceBatchOptions;
  readonly #tables: (BlockTable | undefined)[];
  readonly #entries: Int32Array; // valid entries of each row
  readonly #revisions: Float64Array;
  readonly #maxTokens: number;
  #numSequences = 0;
  #numTokens = 0;

  /** @throws InvalidOptionError */
  constructor(options: SequenceBatchOptions) {
    const { maxSequences, maxBlocksPerSequence, maxTokens = maxSequences } = options;
    checkInteger("tokensPerBlock", options.tokensPerBlock, 1);
    checkInteger("maxSequences", maxSequences, 1);
    checkInteger("maxBlocksPerSequence", maxBlocksPerSequence, 1);
    this.#maxTokens = checkInteger("maxTokens", maxTokens, 1);
    this.#options = options;
    this.arrays = options.arrays ?? {
      blockTables: new Int32Array(maxSequences * maxBlocksPerSequence),
      slotMapping: new Int32Array(maxTokens),
      sequenceLengths: new Int32Array(maxSequences),
      queryOffsets: new Int32Array(maxSequences + 1),
    };
    checkLength("blockTables", this.arrays.blockTables, maxSequences * maxBlocksPerSequence);
    checkLength("slotMapping", this.arrays.slotMapping, maxTokens);
    checkLength("sequenceLengths", this.arrays.sequenceLengths, maxSequences);
    checkLength("queryOffsets", this.arrays.queryOffsets, maxSequences + 1);
    this.arrays.blockTables.fill(NONE);
    this.arrays.slotMapping.fill(NONE);
    this.#tables = new Array<BlockTable | undefined>(maxSequences).fill(undefined);
    this.#entries = new Int32Array(maxSequences);
    this.#revisions = new Float64Array(maxSequences);
  }

  /** Sequences of the last `prepare`. */
  get numSequences(): number {
    return this.#numSequences;
  }

  /** New tokens of the last `prepare`. */
  get numTokens(): number {
    return this.#numTokens;
  }

  /**
   * Writes the arrays for these sequences, whose last `queryLengths[i]` tokens (one each unless given) are new. Quick for
   * sequences that keep their row.
   *
   * @throws InvalidOptionError if they do not fit, DisposedError
   */
  prepare(tables: readonly BlockTable[], queryLengths?: ArrayLike<number>): void {
    this.#check(tables, queryLengths);
    const { sequenceLengths, queryOffsets } = this.arrays;
    let numTokens = 0;
    for (let row = 0; row < tables.length; row++) {
      const table = tables[row] as BlockTable;
      this.#updateRow(row, table);
      const queryLength = queryLengths === undefined ? 1 : (queryLengths[row] as number);
      this.#writeSlots(row, table.length, queryLength, numTokens);
      sequenceLengths[row] = table.length;
      queryOffsets[row] = numTokens;
      numTokens += queryLength;
    }
    queryOffsets[tables.length] = numTokens;
    // Work that was captured for all rows does nothing for those that the last step had and this one has not.
    sequenceLengths.fill(0, tables.length, this.#numSequences);
    this.arrays.slotMapping.fill(NONE, numTokens, this.#numTokens);
    this.#numSequences = tables.length;
    this.#numTokens = numTokens;
  }

  #check(tables: readonly BlockTable[], queryLengths: ArrayLike<number> | undefined): void {
    const { maxSequences, maxBlocksPerSequence } = this.#options;
    if (tables.length > maxSequences) throw new InvalidOptionError("tables", tables.length, `at most ${maxSequences}`);
    let numTokens = 0;
    for (let row = 0; row < tables.length; row++) {
      const table = tables[row] as BlockTable;
      if (table.numBlocks > maxBlocksPerSequence) {
        throw new InvalidOptionError(`blocks of sequence ${row}`, table.numBlocks, `at most ${maxBlocksPerSequence}`);
      }
      const queryLength = queryLengths === undefined ? 1 : (queryLengths[row] as number);
      if (!(Number.isInteger(queryLength) && queryLength >= 0 && queryLength <= table.length)) {
        throw new InvalidOptionError(`query length of sequence ${row}`, queryLength, `0 to ${table.length}`);
      }
      numTokens += queryLength;
    }
    if (numTokens > this.#maxTokens)
      throw new InvalidOptionError("new tokens", numTokens, `at most ${this.#maxTokens}`);
  }

  #updateRow(row: number, table: BlockTable): void {
    const before = this.#entries[row] as number;
    const isSame = this.#tables[row] === table && this.#revisions[row] === table.revision;
    const from = isSame ? before : 0;
    if (isSame && before === table.numBlocks) return;
    const { maxBlocksPerSequence, group = 0, part = 0, firstBlock = 0 } = this.#options;
    const { blockTables } = this.arrays;
    const start = row * maxBlocksPerSequence;
    const blocks = table.view(group, part);
    for (let entry = from; entry < table.numBlocks; entry++) {
      const block = blocks[entry] as number;
      blockTables[start + entry] = block < 0 ? NONE : block - firstBlock;
    }
    if (table.numBlocks < before) blockTables.fill(NONE, start + table.numBlocks, start + before);
    this.#tables[row] = table;
    this.#revisions[row] = table.revision;
    this.#entries[row] = table.numBlocks;
  }

  #writeSlots(row: number, length: number, queryLength: number, at: number): void {
    const { tokensPerBlock, maxBlocksPerSequence } = this.#options;
    const { blockTables, slotMapping } = this.arrays;
    const start = row * maxBlocksPerSequence;
    const first = length - queryLength;
    for (let i = 0; i < queryLength; i++) {
      const position = first + i;
      const block = blockTables[start + Math.floor(position / tokensPerBlock)] as number;
      slotMapping[at + i] = block < 0 ? NONE : block * tokensPerBlock + (position % tokensPerBlock);
    }
  }
}

function checkLength(name: string, array: Int32Array, atLeast: number): void {
  if (array.length < atLeast) throw new InvalidOptionError(`length of ${name}`, array.length, `at least ${atLeast}`);
}
