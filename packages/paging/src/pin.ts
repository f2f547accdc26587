import { PinLimitError } from "./errors.ts";
import { addBlock, type Pool, requireDemand } from "./pool.ts";
import { firstTaken, type PrefixMatch } from "./prefix-match.ts";

/** A cached prefix that stays cached until the pin is disposed of. */
export class Pin {
  /** Leading tokens that are kept: whole blocks. */
  readonly numTokens: number;
  readonly #pool: Pool;
  readonly #namespace: number;
  readonly #blocks: Int32Array;
  readonly #onDispose: (pin: Pin) => void;
  #isDisposed: boolean = false;

  /** For `BlockManager`. */
  constructor(pool: Pool, namespace: number, blocks: Int32Array, numTokens: number, onDispose: (pin: Pin) => void) {
    this.#pool = pool;
    this.#namespace = namespace;
    this.#blocks = blocks;
    this.#onDispose = onDispose;
    this.numTokens = numTokens;
  }

  /** Blocks that the pin keeps; other pins may keep them too. */
  get numBlocks(): number {
    return this.#blocks.length;
  }

  get isDisposed(): boolean {
    return this.#isDisposed;
  }

  /** The blocks, the first ones of the prefix first. A view. */
  get blocks(): Int32Array {
    return this.#blocks;
  }

  /** Lets the prefix be evicted again; may be called again. */
  dispose(): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    const { allocator, namespaces } = this.#pool;
    allocator.readClock();
    for (let i = this.#blocks.length - 1; i >= 0; i--) {
      const block = this.#blocks[i] as number;
      allocator.unpin(block);
      allocator.release(block, false);
    }
    const { users } = namespaces;
    users[this.#namespace] = (users[this.#namespace] as number) - 1;
    this.#onDispose(this);
    if (users[this.#namespace] === 0) namespaces.closeIfUnused(this.#namespace);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** Holds the blocks of a match. @throws PinLimitError, QuotaError before anything has changed */
export function pinMatch(
  pool: Pool,
  namespace: number,
  match: PrefixMatch,
  maxPinnedBlocks: number,
  onDispose: (pin: Pin) => void,
): Pin {
  const { allocator } = pool;
  const blocks = blocksOf(pool, match);
  const added = blocks.filter((block) => allocator.pins[block] === 0).length;
  if (allocator.numPinned + added > maxPinnedBlocks) {
    throw new PinLimitError(added, allocator.numPinned, maxPinnedBlocks);
  }
  pool.demand.clear();
  for (const block of blocks) if (allocator.references[block] === 0) addBlock(pool.demand.taken, pool, block);
  requireDemand(pool, namespace);
  for (const block of blocks) {
    allocator.acquire(block, false);
    allocator.pin(block);
  }
  const { users } = pool.namespaces;
  users[namespace] = (users[namespace] as number) + 1;
  return new Pin(pool, namespace, blocks, match.numSpans * pool.tokensPerBlock, onDispose);
}

function blocksOf(pool: Pool, match: PrefixMatch): Int32Array {
  const blocks: number[] = [];
  for (let span = 0; span < match.numSpans; span++) {
    const node = match.nodes[span] as number;
    for (const unit of pool.tokenUnits) {
      if (span >= firstTaken(pool, unit, match.numSpans)) blocks.push(pool.index.blockOf(node, unit));
    }
    if (span < match.numSpans - 1) continue;
    for (const unit of pool.stateUnits) blocks.push(pool.index.blockOf(node, unit));
  }
  return Int32Array.from(blocks);
}
