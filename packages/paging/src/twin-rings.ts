import { NONE } from "./block-id.ts";

/**
 * Which blocks hold the same tokens at the same place of one node: rings from the oldest to the youngest and on to the
 * oldest, linked both ways, so that joining and leaving cost the same however many there are.
 *
 * Most blocks are alone and have no links. Those in rings take 8 bytes each, in arrays that grow to the most there ever were.
 */
export class TwinRings {
  readonly #linkOf: Int32Array; // [numBlocks]
  #younger: Int32Array = new Int32Array(8); // [links]: blocks; free links are chained through it
  #older: Int32Array = new Int32Array(8); // [links]: blocks
  #freeLink: number = NONE;
  #numLinks = 0;

  constructor(numBlocks: number) {
    this.#linkOf = new Int32Array(numBlocks).fill(NONE);
  }

  /** Bytes of all arrays. */
  get bookkeepingBytes(): number {
    return this.#linkOf.byteLength + this.#younger.byteLength + this.#older.byteLength;
  }

  /** Whether the block is in a ring with others. */
  has(block: number): boolean {
    return (this.#linkOf[block] as number) >= 0;
  }

  /** The next younger block, after the youngest the oldest. Only for blocks in rings. */
  younger(block: number): number {
    return this.#younger[this.#linkOf[block] as number] as number;
  }

  /** Adds a block as the youngest to the ring of `oldest`, which may have been alone. */
  join(oldest: number, block: number): void {
    if (!this.has(oldest)) this.#link(oldest, oldest, oldest);
    const youngest = this.#older[this.#linkOf[oldest] as number] as number;
    this.#link(block, youngest, oldest);
    this.#younger[this.#linkOf[youngest] as number] = block;
    this.#older[this.#linkOf[oldest] as number] = block;
  }

  /** Takes a block out of its ring; one that is left alone needs none. */
  leave(block: number): void {
    const link = this.#linkOf[block] as number;
    const younger = this.#younger[link] as number;
    const older = this.#older[link] as number;
    this.#unlink(block);
    if (younger === older) {
      this.#unlink(younger);
      return;
    }
    this.#younger[this.#linkOf[older] as number] = younger;
    this.#older[this.#linkOf[younger] as number] = older;
  }

  #link(block: number, older: number, younger: number): void {
    const link = this.#newLink();
    this.#linkOf[block] = link;
    this.#older[link] = older;
    this.#younger[link] = younger;
  }

  #unlink(block: number): void {
    const link = this.#linkOf[block] as number;
    this.#linkOf[block] = NONE;
    this.#younger[link] = this.#freeLink;
    this.#freeLink = link;
  }

  #newLink(): number {
    const free = this.#freeLink;
    if (free >= 0) {
      this.#freeLink = this.#younger[free] as number;
      return free;
    }
    if (this.#numLinks === this.#younger.length) {
      this.#younger = doubled(this.#younger);
      this.#older = doubled(this.#older);
    }
    return this.#numLinks++;
  }
}

function doubled(array: Int32Array): Int32Array {
  const copy = new Int32Array(2 * array.length);
  copy.set(array);
  return copy;
}
