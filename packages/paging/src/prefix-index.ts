import { NONE } from "./block-id.ts";
import { defaultPrefixHash, type PrefixHash } from "./prefix-hash.ts";
import { TokenKeys } from "./token-keys.ts";
import { TwinRings } from "./twin-rings.ts";

/** Sizes of a `PrefixIndex`. */
export interface PrefixIndexOptions {
  /** Blocks of the pool. */
  numBlocks: number;
  /** Most nodes at a time; `numBlocks` is always enough when every node has a block. */
  numNodes?: number;
  tokensPerBlock: number;
  /** Blocks that one node can have: one for each place that the layer groups give it. Default 1. */
  numUnits?: number;
  /** Decides where to look, never what is equal. */
  prefixHash?: PrefixHash;
  /** Told of keyed tokens that come and go, so that they live as long as they are stored. */
  tokenKeys?: TokenKeys;
}

/** A child whose first tokens continue a prefix into the middle of a block. */
export interface PartialChild {
  node: number;
  numTokens: number;
}

/** In `hashNext`: the node is not in the hash table, because it had no sibling when it came. */
const NOT_HASHED = -2;

/**
 * Which prefixes of token sequences are stored, and in which blocks.
 *
 * A tree: a node is one block of tokens after those of its parent, and each namespace has a root of its own. Most nodes
 * have one child, which is found by one pointer and proven by comparing its tokens; only siblings are in a hash table.
 * The index owns no memory: the allocator decides what is evicted and tells it.
 */
export class PrefixIndex {
  readonly tokensPerBlock: number;
  readonly numNodes: number;
  readonly numUnits: number;
  readonly #prefixHash: PrefixHash;
  readonly #keys: TokenKeys;
  readonly #parent: Int32Array;
  readonly #nextSibling: Int32Array;
  readonly #previousSibling: Int32Array;
  readonly #hashNext: Int32Array;
  readonly #buckets: Int32Array;
  readonly #tokens: Int32Array;
  readonly #blockOf: Int32Array; // [numNodes, numUnits]
  readonly #nodeOf: Int32Array; // [numBlocks]
  readonly #twins: TwinRings; // blocks with the same contents
  readonly #unitOf: Uint8Array | undefined; // [numBlocks], when there are several units
  #firstChild: Int32Array; // [numNodes + roots]
  #hash: Int32Array; // [numNodes + roots]
  #freeNode = 0; // chained through firstChild
  #numStored = 0;

  constructor(options: PrefixIndexOptions) {
    const { numBlocks, tokensPerBlock, numNodes = numBlocks, numUnits = 1 } = options;
    this.tokensPerBlock = tokensPerBlock;
    this.numNodes = numNodes;
    this.numUnits = numUnits;
    this.#prefixHash = options.prefixHash ?? defaultPrefixHash;
    this.#keys = options.tokenKeys ?? new TokenKeys();
    this.#parent = new Int32Array(numNodes).fill(NONE);
    this.#nextSibling = new Int32Array(numNodes).fill(NONE);
    this.#previousSibling = new Int32Array(numNodes).fill(NONE);
    this.#hashNext = new Int32Array(numNodes).fill(NOT_HASHED);
    // A quarter of the nearest power of two: only siblings are in the table.
    this.#buckets = new Int32Array(Math.max(16, 2 ** Math.round(Math.log2(numNodes)) / 4)).fill(NONE);
    this.#tokens = new Int32Array(numNodes * tokensPerBlock);
    this.#blockOf = new Int32Array(numNodes * numUnits).fill(NONE);
    this.#nodeOf = new Int32Array(numBlocks).fill(NONE);
    this.#twins = new TwinRings(numBlocks);
    this.#unitOf = numUnits > 1 ? new Uint8Array(numBlocks) : undefined;
    this.#firstChild = new Int32Array(numNodes + 16).map((_, node) => (node < numNodes - 1 ? node + 1 : NONE));
    this.#hash = new Int32Array(numNodes + 16);
  }

  /** Nodes in the tree. */
  get numStored(): number {
    return this.#numStored;
  }

  /** Bytes of all arrays except the tokens that prove hits. */
  get bookkeepingBytes(): number {
    const arrays = [this.#parent, this.#nextSibling, this.#previousSibling, this.#hashNext, this.#buckets, this.#hash];
    const blocks = [this.#blockOf, this.#nodeOf, this.#unitOf, this.#firstChild];
    const twins = this.#twins.bookkeepingBytes;
    return [...arrays, ...blocks].reduce((sum, array) => sum + (array?.byteLength ?? 0), twins);
  }

  /** The root of a namespace's tree; made at the first call. */
  root(namespace: number): number {
    const root = this.numNodes + namespace;
    if (root >= this.#firstChild.length) {
      const length = this.numNodes + 2 * (namespace + 1);
      this.#firstChild = grown(this.#firstChild, length);
      this.#hash = grown(this.#hash, length);
    }
    this.#hash[root] = Math.imul(namespace + 1, 0x9e3779b1);
    return root;
  }

  /** The child of `node` that holds the block of tokens at `tokens[start]`, or -1. */
  child(node: number, tokens: Int32Array, start: number): number {
    const first = this.#firstChild[node] as number;
    if (first < 0 || this.#holds(first, tokens, start)) return first;
    return (this.#nextSibling[first] as number) < 0 ? NONE : this.#findSibling(node, tokens, start);
  }

  /**
   * The child of `node` that shares the most tokens with `tokens[start..end)`, at least one, or undefined. Compares with
   * every child: cost grows with their number.
   */
  partialChild(node: number, tokens: Int32Array, start: number, end: number): PartialChild | undefined {
    let best: PartialChild | undefined;
    const most = Math.min(end - start, this.tokensPerBlock);
    for (let child = this.#firstChild[node] as number; child >= 0; child = this.#nextSibling[child] as number) {
      const numTokens = this.#commonTokens(child, tokens, start, most);
      if (numTokens > (best?.numTokens ?? 0)) best = { node: child, numTokens };
    }
    return best;
  }

  /** Adds a child of `parent` for the block of tokens at `tokens[start]`, which must not be there; -1 if nodes ran out. */
  insert(parent: number, tokens: Int32Array, start: number): number {
    const node = this.#freeNode;
    if (node < 0) return NONE;
    this.#freeNode = this.#firstChild[node] as number;
    this.#numStored++;
    const size = this.tokensPerBlock;
    this.#keep(node, tokens, start, size);
    this.#hash[node] = this.#prefixHash(this.#hash[parent] as number, tokens, start, size) | 0;
    this.#parent[node] = parent;
    this.#firstChild[node] = NONE;
    this.#linkSibling(parent, node);
    if (!this.#keys.isEmpty) this.#keys.retain(this.tokensOf(node));
    return node;
  }

  /** Takes out a node without children; its blocks must be detached already. */
  remove(node: number): void {
    if (!this.#keys.isEmpty) this.#keys.release(this.tokensOf(node));
    this.#unlinkSibling(node);
    if (this.#hashNext[node] !== NOT_HASHED) this.#unlinkBucket(node);
    this.#firstChild[node] = this.#freeNode;
    this.#parent[node] = NONE;
    this.#freeNode = node;
    this.#numStored--;
  }

  /** Records that `block` holds the tokens of `node`, as a twin behind older ones if there are any. */
  attach(node: number, unit: number, block: number): void {
    const place = node * this.numUnits + unit;
    this.#nodeOf[block] = node;
    if (this.#unitOf !== undefined) this.#unitOf[block] = unit;
    const oldest = this.#blockOf[place] as number;
    if (oldest < 0) this.#blockOf[place] = block;
    else this.#twins.join(oldest, block);
  }

  /** Forgets what `block` holds; a younger twin takes its place. Returns the node it was at. */
  detach(block: number): number {
    const node = this.#nodeOf[block] as number;
    const place = node * this.numUnits + this.unitOf(block);
    if (this.#twins.has(block)) {
      if (this.#blockOf[place] === block) this.#blockOf[place] = this.#twins.younger(block);
      this.#twins.leave(block);
    } else this.#blockOf[place] = NONE;
    this.#nodeOf[block] = NONE;
    return node;
  }

  /** The node whose tokens `block` holds, or -1. */
  nodeOf(block: number): number {
    return this.#nodeOf[block] as number;
  }

  /** Which of its node's places the block is at; meaningful while it is attached. */
  unitOf(block: number): number {
    return this.#unitOf === undefined ? 0 : (this.#unitOf[block] as number);
  }

  /** The oldest block with the tokens of `node`, or -1. */
  blockOf(node: number, unit: number): number {
    return this.#blockOf[node * this.numUnits + unit] as number;
  }

  /** The next younger block with the same contents, or -1. */
  twinOf(block: number): number {
    if (!this.#twins.has(block)) return NONE;
    const younger = this.#twins.younger(block);
    return younger === this.blockOf(this.nodeOf(block), this.unitOf(block)) ? NONE : younger;
  }

  /** Whether another block holds the same tokens at the same place. */
  hasTwin(block: number): boolean {
    return this.#twins.has(block);
  }

  /** The parent of a node: a node or, from `numNodes`, the root of a namespace. */
  parentOf(node: number): number {
    return this.#parent[node] as number;
  }

  /** Whether a number is the root of a namespace and no node. */
  isRoot(node: number): boolean {
    return node >= this.numNodes;
  }

  firstChildOf(node: number): number {
    return this.#firstChild[node] as number;
  }

  nextSiblingOf(node: number): number {
    return this.#nextSibling[node] as number;
  }

  /** The chained hash of the node's tokens and all before them, as a signed 32-bit integer. */
  hashOf(node: number): number {
    return this.#hash[node] as number;
  }

  /** The tokens of a node, as a view that is valid until the node is removed. */
  tokensOf(node: number): Int32Array {
    const start = node * this.tokensPerBlock;
    return this.#tokens.subarray(start, start + this.tokensPerBlock);
  }

  #keep(node: number, tokens: Int32Array, start: number, size: number): void {
    const own = this.#tokens;
    const to = node * size;
    // Below this size the view that `set` needs costs more than the loop.
    if (size > 48) own.set(tokens.subarray(start, start + size), to);
    else for (let i = 0; i < size; i++) own[to + i] = tokens[start + i] as number;
  }

  #holds(node: number, tokens: Int32Array, start: number): boolean {
    const size = this.tokensPerBlock;
    const own = this.#tokens;
    const at = node * size;
    for (let i = 0; i < size; i++) if (own[at + i] !== tokens[start + i]) return false;
    return true;
  }

  #commonTokens(node: number, tokens: Int32Array, start: number, most: number): number {
    const at = node * this.tokensPerBlock;
    let i = 0;
    while (i < most && this.#tokens[at + i] === tokens[start + i]) i++;
    return i;
  }

  #findSibling(parent: number, tokens: Int32Array, start: number): number {
    const hash = this.#prefixHash(this.#hash[parent] as number, tokens, start, this.tokensPerBlock) | 0;
    let node = this.#buckets[hash & (this.#buckets.length - 1)] as number;
    while (node >= 0) {
      if (this.#hash[node] === hash && this.#parent[node] === parent && this.#holds(node, tokens, start)) return node;
      node = this.#hashNext[node] as number;
    }
    return NONE;
  }

  /** A node that comes to siblings goes behind the first of them: the first is the one that need not be hashed. */
  #linkSibling(parent: number, node: number): void {
    const first = this.#firstChild[parent] as number;
    if (first < 0) {
      this.#firstChild[parent] = node;
      this.#previousSibling[node] = NONE;
      this.#nextSibling[node] = NONE;
      this.#hashNext[node] = NOT_HASHED;
      return;
    }
    const second = this.#nextSibling[first] as number;
    this.#nextSibling[first] = node;
    this.#previousSibling[node] = first;
    this.#nextSibling[node] = second;
    if (second >= 0) this.#previousSibling[second] = node;
    const bucket = (this.#hash[node] as number) & (this.#buckets.length - 1);
    this.#hashNext[node] = this.#buckets[bucket] as number;
    this.#buckets[bucket] = node;
  }

  #unlinkSibling(node: number): void {
    const before = this.#previousSibling[node] as number;
    const behind = this.#nextSibling[node] as number;
    if (before < 0) this.#firstChild[this.#parent[node] as number] = behind;
    else this.#nextSibling[before] = behind;
    if (behind >= 0) this.#previousSibling[behind] = before;
  }

  #unlinkBucket(node: number): void {
    const bucket = (this.#hash[node] as number) & (this.#buckets.length - 1);
    const behind = this.#hashNext[node] as number;
    let other = this.#buckets[bucket] as number;
    if (other === node) this.#buckets[bucket] = behind;
    else {
      while (this.#hashNext[other] !== node) other = this.#hashNext[other] as number;
      this.#hashNext[other] = behind;
    }
    this.#hashNext[node] = NOT_HASHED;
  }
}

function grown(array: Int32Array, length: number): Int32Array {
  const copy = new Int32Array(length).fill(NONE);
  copy.set(array);
  return copy;
}
