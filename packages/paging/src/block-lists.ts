/**
 * Doubly linked lists over the blocks of a pool, in two shared typed arrays.
 *
 * A block is in one list at most. List `l` is a ring through its own entry behind the blocks', so that taking a block
 * out needs no knowledge of the list it is in.
 */
export class BlockLists {
  #next: Int32Array;
  #previous: Int32Array;
  #numLists: number;

  constructor(
    readonly numBlocks: number,
    numLists: number,
  ) {
    this.#next = new Int32Array(numBlocks + numLists).fill(-1);
    this.#previous = new Int32Array(numBlocks + numLists).fill(-1);
    this.#numLists = 0;
    this.add(numLists);
  }

  /** Bytes of both arrays. */
  get bookkeepingBytes(): number {
    return this.#next.byteLength + this.#previous.byteLength;
  }

  /** Makes `count` more empty lists and returns the number of the first; copies all links when room runs out. */
  add(count: number): number {
    const first = this.#numLists;
    this.#numLists += count;
    const size = this.numBlocks + this.#numLists;
    if (size > this.#next.length) {
      const room = size + Math.min(64, this.#numLists);
      this.#next = grown(this.#next, room);
      this.#previous = grown(this.#previous, room);
    }
    for (let ring = this.numBlocks + first; ring < size; ring++) {
      this.#next[ring] = ring;
      this.#previous[ring] = ring;
    }
    return first;
  }

  /** The first block of a list, or -1. */
  first(list: number): number {
    const block = this.#next[this.numBlocks + list] as number;
    return block < this.numBlocks ? block : -1;
  }

  /** The block behind `block` in its list, or -1. */
  after(block: number): number {
    const next = this.#next[block] as number;
    return next < this.numBlocks ? next : -1;
  }

  /** Whether the block is in a list. */
  has(block: number): boolean {
    return (this.#next[block] as number) >= 0;
  }

  pushFirst(list: number, block: number): void {
    const ring = this.numBlocks + list;
    this.#link(ring, block, this.#next[ring] as number);
  }

  pushLast(list: number, block: number): void {
    const ring = this.numBlocks + list;
    this.#link(this.#previous[ring] as number, block, ring);
  }

  /** Takes the block out of the list it is in. */
  remove(block: number): void {
    const next = this.#next;
    const previous = this.#previous;
    const before = previous[block] as number;
    const behind = next[block] as number;
    next[before] = behind;
    previous[behind] = before;
    next[block] = -1;
  }

  /** Puts all blocks of `from`, in their order, before the first of `to`. */
  prepend(from: number, to: number): void {
    const next = this.#next;
    const previous = this.#previous;
    const source = this.numBlocks + from;
    const target = this.numBlocks + to;
    const first = next[source] as number;
    if (first === source) return;
    const last = previous[source] as number;
    const behind = next[target] as number;
    next[target] = first;
    previous[first] = target;
    next[last] = behind;
    previous[behind] = last;
    next[source] = source;
    previous[source] = source;
  }

  #link(before: number, block: number, behind: number): void {
    const next = this.#next;
    const previous = this.#previous;
    next[before] = block;
    previous[block] = before;
    next[block] = behind;
    previous[behind] = block;
  }
}

function grown(array: Int32Array, length: number): Int32Array {
  const copy = new Int32Array(length).fill(-1);
  copy.set(array);
  return copy;
}
