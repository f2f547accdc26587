import { firstNeededPosition, type LayerGroup } from "./layer-group.ts";
import type { Pin } from "./pin.ts";
import { bytesOf, type Pool } from "./pool.ts";
import { forEachHeldBlock, type Sequence } from "./sequence.ts";

/** Blocks by who has them. Every block counts once, so that the five sum to the whole. */
export interface BlockCounts {
  /** Held by one sequence. */
  ownBlocks: number;
  /** Held by several sequences. */
  sharedBlocks: number;
  /** Held by pins alone. */
  pinnedBlocks: number;
  /** Held by nobody, evictable. */
  cachedBlocks: number;
  /** Without contents. */
  freeBlocks: number;
}

/** What one namespace has. Free blocks belong to none. */
export interface NamespaceUsage extends Omit<BlockCounts, "freeBlocks"> {
  readonly namespace: string;
  /** All of it. */
  bytes: number;
}

/** Bytes of held blocks that hold nothing which will be read, by cause. */
export interface Waste {
  /** Places behind the last token of a sequence. */
  tailBytes: number;
  /** Parts of blocks that their layer group does not fill. */
  paddingBytes: number;
  /** Held blocks whose tokens an older block holds too. */
  duplicateBytes: number;
  /** Tokens that a window or chunk has left, in blocks that are still held. */
  windowBytes: number;
}

/** Where all blocks of a pool are. */
export interface PoolUsage extends BlockCounts {
  readonly numBlocks: number;
  readonly poolBytes: number;
  readonly freeBytes: number;
  /** Their blocks and `freeBlocks` sum to `numBlocks`, their bytes and `freeBytes` to `poolBytes`. */
  readonly namespaces: readonly NamespaceUsage[];
  /** Tokens in held blocks, and places for tokens there; a token counts once in each unit of the layer groups. */
  readonly tokensHeld: number;
  readonly tokenPlaces: number;
  /** The first over the second; 1 when nothing is held. */
  readonly occupancy: number;
  readonly waste: Readonly<Waste>;
}

/** Counts where all blocks are. Walks the pool and all sequences. */
export function poolUsage(pool: Pool, sequences: Iterable<Sequence>, pins: Iterable<Pin>): PoolUsage {
  const counted = new HeldBlocks(pool);
  for (const sequence of sequences) counted.addSequence(sequence);
  for (const pin of pins) counted.addPin(pin);
  const namespaces = [...pool.namespaces.numbers()].map((number) => emptyUsage(pool, number));
  const byNumber = new Map(
    [...pool.namespaces.numbers()].map((number, i) => [number, namespaces[i] as NamespaceUsage]),
  );
  const total: BlockCounts = { ownBlocks: 0, sharedBlocks: 0, pinnedBlocks: 0, cachedBlocks: 0, freeBlocks: 0 };
  for (let block = 0; block < pool.allocator.numBlocks; block++) {
    const kind = kindOf(pool, block);
    total[kind]++;
    if (kind !== "freeBlocks") addBlock(byNumber, pool, block, kind);
  }
  const { tokensHeld, tokenPlaces, waste } = counted;
  return {
    ...total,
    numBlocks: pool.allocator.numBlocks,
    poolBytes: pool.allocator.sizes.reduce((sum, size) => sum + size.numBlocks * size.bytesPerBlock, 0),
    freeBytes: pool.allocator.sizes.reduce(
      (sum, { bytesPerBlock }, i) => sum + pool.allocator.numFreeOf(i) * bytesPerBlock,
      0,
    ),
    namespaces: namespaces.filter(({ bytes }) => bytes > 0),
    tokensHeld,
    tokenPlaces,
    occupancy: tokenPlaces === 0 ? 1 : tokensHeld / tokenPlaces,
    waste,
  };
}

function kindOf({ allocator, index }: Pool, block: number): keyof BlockCounts {
  const references = allocator.references[block] as number;
  if (references === 0) return index.nodeOf(block) >= 0 ? "cachedBlocks" : "freeBlocks";
  const sequences = references - (allocator.pins[block] as number);
  if (sequences === 0) return "pinnedBlocks";
  return sequences === 1 ? "ownBlocks" : "sharedBlocks";
}

function emptyUsage(pool: Pool, number: number): NamespaceUsage {
  const namespace = pool.namespaces.label(number);
  return { namespace, ownBlocks: 0, sharedBlocks: 0, pinnedBlocks: 0, cachedBlocks: 0, bytes: 0 };
}

function addBlock(
  byNumber: Map<number, NamespaceUsage>,
  pool: Pool,
  block: number,
  kind: Exclude<keyof BlockCounts, "freeBlocks">,
): void {
  const usage = byNumber.get(pool.allocator.owner[block] as number) as NamespaceUsage;
  usage[kind]++;
  usage.bytes += bytesOf(pool, block);
}

/** Tokens and waste in the blocks that sequences and pins hold, each block once. */
class HeldBlocks {
  tokensHeld = 0;
  tokenPlaces = 0;
  readonly waste: Waste = { tailBytes: 0, paddingBytes: 0, duplicateBytes: 0, windowBytes: 0 };
  readonly #pool: Pool;
  readonly #seen: Uint8Array;
  readonly #roomOf: Map<number, number> = new Map(); // free places of blocks that are not full

  constructor(pool: Pool) {
    this.#pool = pool;
    this.#seen = new Uint8Array(pool.allocator.numBlocks);
  }

  addSequence(sequence: Sequence): void {
    forEachHeldBlock(sequence, (block, unit) => this.#add(block, unit));
    const size = this.#pool.tokensPerBlock;
    for (const unit of this.#pool.tokenUnits) {
      const group = this.#pool.groupOfUnit[unit] as LayerGroup;
      const table = sequence.blocks[unit] as Int32Array;
      if (sequence.tailRoom > 0) this.#limitRoom(table[sequence.numSpans - 1] as number, sequence.tailRoom, group);
      const first = sequence.firstHeld[unit] as number;
      const left = Math.min(firstNeededPosition(group, sequence.length), sequence.length) - first * size;
      if (left > 0) this.waste.windowBytes += (left * group.usedBytesPerBlock) / size;
    }
  }

  addPin(pin: Pin): void {
    for (const block of pin.blocks) this.#add(block, this.#pool.index.unitOf(block));
  }

  #add(block: number, unit: number): void {
    if (this.#seen[block] === 1) return;
    this.#seen[block] = 1;
    const { index, tokensPerBlock } = this.#pool;
    const bytesPerBlock = bytesOf(this.#pool, block);
    const group = this.#pool.groupOfUnit[unit] as LayerGroup;
    this.waste.paddingBytes += bytesPerBlock - group.usedBytesPerBlock;
    const node = index.nodeOf(block);
    if (node >= 0 && index.blockOf(node, unit) !== block) this.waste.duplicateBytes += bytesPerBlock;
    if (group.kind === "state") return;
    this.tokensHeld += tokensPerBlock;
    this.tokenPlaces += tokensPerBlock;
  }

  /** A block that several sequences hold has the room of the one with the most tokens; a stored one is full. */
  #limitRoom(block: number, room: number, group: LayerGroup): void {
    if (this.#pool.index.nodeOf(block) >= 0) return;
    const before = this.#roomOf.get(block) ?? 0;
    const after = this.#roomOf.has(block) ? Math.min(before, room) : room;
    this.#roomOf.set(block, after);
    this.tokensHeld += before - after;
    this.waste.tailBytes += ((after - before) * group.usedBytesPerBlock) / this.#pool.tokensPerBlock;
  }
}
