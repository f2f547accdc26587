import { NONE } from "./block-id.ts";
import { BlockLists } from "./block-lists.ts";
import type { BlockWork } from "./block-work.ts";
import { EvictionLog, type EvictionReason } from "./eviction-log.ts";
import type { EvictionPolicy, PolicyContext, PolicyFactory } from "./eviction-policy.ts";
import type { NamespaceTable } from "./namespace-table.ts";
import type { PrefixIndex } from "./prefix-index.ts";
import { BLOCKS_PER_SAMPLE, Residency } from "./residency.ts";
import type { SizeClass } from "./size-class.ts";

/** Who wants to know what enters and leaves the cache. */
export interface CacheObserver {
  /** `block` holds the tokens of `node` from now on. */
  stored(block: number, node: number): void;
  /** `block` is about to be taken out; it is still attached to its node. */
  removed(block: number, reason: EvictionReason): void;
}

const RESIDENCY_MASK: number = BLOCKS_PER_SAMPLE - 1;

/** What a `BlockAllocator` works on. */
export interface BlockAllocatorOptions {
  /** The blocks, by size. */
  sizes: readonly SizeClass[];
  index: PrefixIndex;
  namespaces: NamespaceTable;
  policy: PolicyFactory;
  /** By unit of the index: 1 where a prefix is lost when its block is, 0 where a window or a state is. */
  essentialUnits: Uint8Array;
  /** Milliseconds, never going back. */
  clock: () => number;
  work: BlockWork;
}

/** The list of free blocks of the first size; those of other sizes and the policies' come behind it. */
const FREE = 0;
/** A power of two: less for small pools, where it would outweigh the rest. */
const evictionLogLength = (numBlocks: number): number =>
  2 ** Math.min(12, Math.max(6, Math.floor(Math.log2(numBlocks / 16))));

/**
 * Which blocks are held, cached or free.
 *
 * Held: sequences or pins refer to it. Cached: nobody does, but the index knows what it holds; it is evictable, once no
 * cached child depends on it, in the order of the policy. Free: neither. Every operation takes constant time.
 */
export class BlockAllocator {
  readonly numBlocks: number;
  /** Sequences and pins that hold each block. */
  readonly references: Int32Array;
  /** Pins among the references of each block. */
  readonly pins: Uint16Array;
  /** The namespace that has, or last had, each block; -1 before the first. */
  readonly owner: Int32Array;
  readonly timesReused: Uint8Array;
  readonly evictions: EvictionLog;
  readonly sizes: readonly SizeClass[];
  /** The order of eviction among the blocks of each size. */
  readonly policies: readonly EvictionPolicy[];
  /** Undefined while nobody listens. */
  observer: CacheObserver | undefined;
  readonly residency: Residency;
  readonly #index: PrefixIndex;
  readonly #namespaces: NamespaceTable;
  readonly #lists: BlockLists;
  readonly #contexts: readonly PolicyContext[];
  readonly #essential: Uint8Array;
  readonly #lastHeldMs: Uint32Array;
  readonly #parked: Uint8Array;
  /** Sequences that are tied to a node, where no block of theirs keeps it: only pools without an essential unit. */
  readonly #nodeHolds: Int32Array | undefined;
  readonly #clock: () => number;
  readonly #work: BlockWork;
  readonly #notifiesPolicy: boolean;
  #nowMs = 0;
  /** By size. */
  readonly #ends: Int32Array;
  readonly #numFree: Int32Array;
  readonly #numCached: Int32Array;
  #numPinned = 0;
  #numCapped = 0;
  #numParked = 0;
  #numStored = 0;
  #numRemoved = 0;

  constructor(options: BlockAllocatorOptions) {
    const { sizes, index } = options;
    const numBlocks = sizes.reduce((sum, size) => sum + size.numBlocks, 0);
    this.numBlocks = numBlocks;
    this.sizes = sizes;
    this.#ends = Int32Array.from(sizes, ({ firstBlock, numBlocks: count }) => firstBlock + count);
    this.#numFree = Int32Array.from(sizes, ({ numBlocks: count }) => count);
    this.#numCached = new Int32Array(sizes.length);
    this.#index = index;
    this.#namespaces = options.namespaces;
    this.#essential = options.essentialUnits;
    this.#clock = options.clock;
    this.#work = options.work;
    this.references = new Int32Array(numBlocks);
    this.pins = new Uint16Array(numBlocks);
    this.owner = new Int32Array(numBlocks).fill(NONE);
    this.timesReused = new Uint8Array(numBlocks);
    this.#lastHeldMs = new Uint32Array(numBlocks);
    this.#parked = new Uint8Array(numBlocks);
    this.#nodeHolds = options.essentialUnits.includes(1) ? undefined : new Int32Array(index.numNodes);
    this.#lists = new BlockLists(numBlocks, sizes.length);
    for (let block = 0; block < numBlocks; block++) this.#lists.pushLast(FREE + this.sizeOf(block), block);
    this.#contexts = sizes.map((size) => this.#policyContext(size));
    this.policies = this.#contexts.map(options.policy);
    this.#notifiesPolicy = this.policies.some((policy) => policy.stored !== undefined);
    this.residency = new Residency(numBlocks);
    this.evictions = new EvictionLog(evictionLogLength(numBlocks), options.namespaces);
  }

  /** Blocks that nobody holds and that hold nothing known. */
  get numFree(): number {
    return sum(this.#numFree);
  }

  /** Blocks that nobody holds and that hold a known prefix. All of them can be evicted. */
  get numCached(): number {
    return sum(this.#numCached);
  }

  /** Free blocks of a size. */
  numFreeOf(size: number): number {
    return this.#numFree[size] as number;
  }

  /** Cached blocks of a size. */
  numCachedOf(size: number): number {
    return this.#numCached[size] as number;
  }

  /** The size of a block, as a number of `sizes`. */
  sizeOf(block: number): number {
    let size = 0;
    while (block >= (this.#ends[size] as number)) size++;
    return size;
  }

  /** Blocks that sequences or pins hold. */
  get numHeld(): number {
    return this.numBlocks - this.numFree - this.numCached;
  }

  /** Blocks that at least one pin holds. */
  get numPinned(): number {
    return this.#numPinned;
  }

  /** Blocks that were ever stored. */
  get numStored(): number {
    return this.#numStored;
  }

  /** Blocks that were ever taken out of the cache. */
  get numRemoved(): number {
    return this.#numRemoved;
  }

  /** Bytes of all arrays that grow with the number of blocks. */
  get bookkeepingBytes(): number {
    const arrays = [this.references, this.pins, this.owner, this.timesReused, this.#lastHeldMs, this.#parked];
    const others = this.#lists.bookkeepingBytes + this.residency.bookkeepingBytes + this.evictions.bookkeepingBytes;
    return arrays.reduce((sum, array) => sum + array.byteLength, others);
  }

  /** Reads the clock; the time holds until the next reading. Called once per operation, not per block. */
  readClock(): void {
    this.#nowMs = Math.floor(this.#clock()) >>> 0;
  }

  /** The time that was read last, in milliseconds modulo 2^32. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** Whole milliseconds since somebody last held the block. */
  idleMs(block: number): number {
    return (this.#nowMs - (this.#lastHeldMs[block] as number)) >>> 0;
  }

  /**
   * Takes a free block of a size for a namespace, or evicts one; -1 if there is neither. Then nothing has changed. One
   * that `isBlank` is zero on the device, whoever had it before.
   */
  allocate(namespace: number, size: number, isBlank = false): number {
    let block = this.#lists.first(FREE + size);
    if (block >= 0) {
      this.#lists.remove(block);
      this.#numFree[size] = (this.#numFree[size] as number) - 1;
    } else {
      block = this.#victim(size);
      if (block < 0) return NONE;
      this.#uncount(block);
      this.#detach(block, "space", namespace);
    }
    this.references[block] = 1;
    this.timesReused[block] = 0;
    const namespaces = this.#namespaces;
    namespaces.used[namespace] = (namespaces.used[namespace] as number) + 1;
    const before = this.owner[block] as number;
    this.#work.allocated(block, before, namespace, isBlank);
    if (before !== namespace) this.#changeOwner(block, before, namespace);
    return block;
  }

  /** One more sequence or pin holds the block, which is held or cached. `reused`: a prefix hit did it. */
  acquire(block: number, reused: boolean): void {
    const references = this.references[block] as number;
    this.references[block] = references + 1;
    if (reused) {
      const times = this.timesReused[block] as number;
      if (times < 255) this.timesReused[block] = times + 1;
    }
    if (references === 0) this.#uncache(block);
  }

  /** One sequence or pin less. `deepest`: the block was the last with a prefix in its sequence. */
  release(block: number, deepest: boolean): void {
    const references = (this.references[block] as number) - 1;
    this.references[block] = references;
    if (references > 0) return;
    const namespace = this.owner[block] as number;
    const { used } = this.#namespaces;
    used[namespace] = (used[namespace] as number) - 1;
    if (this.#index.nodeOf(block) < 0) {
      this.#free(block);
      return;
    }
    this.cache(block, deepest);
    if (this.#numCapped > 0) this.#keepCap(namespace);
  }

  /** A block that is attached to a node and that nobody holds becomes evictable. */
  cache(block: number, deepest: boolean): void {
    const namespace = this.owner[block] as number;
    const { cached } = this.#namespaces;
    cached[namespace] = (cached[namespace] as number) + 1;
    this.#lastHeldMs[block] = this.#nowMs;
    const size = this.sizeOf(block);
    this.#numCached[size] = (this.#numCached[size] as number) + 1;
    this.policyOf(block).insert(block, deepest);
  }

  /** Tells that `block` now holds the tokens of `node`. */
  store(node: number, unit: number, block: number): void {
    this.#index.attach(node, unit, block);
    // A parked block is needed no longer by its children when it gets a twin.
    if (this.#numParked > 0) this.#unpark(node);
    this.#numStored++;
    if (this.#notifiesPolicy) this.policies[this.sizeOf(block)]?.stored?.(block);
    if ((block & RESIDENCY_MASK) === 0) this.residency.stored(block, this.#nowMs);
    if (this.observer !== undefined) this.observer.stored(block, node);
  }

  /** Forgets what a held block holds, so that its sequence can write to it. It must have no child and no twin. */
  forget(block: number): void {
    this.#detach(block, "overwritten", NONE);
  }

  /** Takes all cached blocks of a namespace, or of all, out of the cache. Held ones stay. Walks the whole pool. */
  clear(namespace?: number): number {
    const before = this.#numRemoved;
    for (let block = 0; block < this.numBlocks; block++) {
      if (this.references[block] !== 0 || this.#index.nodeOf(block) < 0) continue;
      if (namespace === undefined || this.owner[block] === namespace) this.#clearBranch(block);
    }
    return this.#numRemoved - before;
  }

  /** Counts one more pin on a held block. */
  pin(block: number): void {
    const pins = this.pins[block] as number;
    this.pins[block] = pins + 1;
    if (pins === 0) this.#numPinned++;
  }

  /** Counts one pin less. */
  unpin(block: number): void {
    const pins = (this.pins[block] as number) - 1;
    this.pins[block] = pins;
    if (pins === 0) this.#numPinned--;
  }

  /** Whether sequences have to hold their last node, because no block of theirs does. */
  get holdsNodes(): boolean {
    return this.#nodeHolds !== undefined;
  }

  /** Whether a sequence is tied to the node in that way. */
  isNodeHeld(node: number): boolean {
    return this.#nodeHolds !== undefined && (this.#nodeHolds[node] as number) > 0;
  }

  /** One more sequence is tied to a node, which stays though it may have no blocks. */
  holdNode(node: number): void {
    if (this.#nodeHolds === undefined || this.#index.isRoot(node)) return;
    this.#nodeHolds[node] = (this.#nodeHolds[node] as number) + 1;
  }

  /** One sequence less. */
  unholdNode(node: number): void {
    if (this.#nodeHolds === undefined || this.#index.isRoot(node)) return;
    this.#nodeHolds[node] = (this.#nodeHolds[node] as number) - 1;
    this.#removeIfEmpty(node);
  }

  /** Whether a cached child needs the block: its prefix would be lost with it. */
  hasDependents(block: number): boolean {
    const index = this.#index;
    const node = index.nodeOf(block);
    return (
      node >= 0 && this.#essential[index.unitOf(block)] === 1 && index.firstChildOf(node) >= 0 && !index.hasTwin(block)
    );
  }

  /** Whether the block waits outside the policy's order until its cached children have gone. */
  isParked(block: number): boolean {
    return this.#parked[block] === 1;
  }

  /** Whether the block is in one of the lists: free or in the policy's order. */
  isListed(block: number): boolean {
    return this.#lists.has(block);
  }

  /** The policy that decides about a block: its size's, or its namespace's own if that has a cap. */
  policyOf(block: number): EvictionPolicy {
    const size = this.sizeOf(block);
    const ofSize = this.policies[size] as EvictionPolicy;
    if (this.#numCapped === 0) return ofSize;
    return this.#namespaces.policies[this.owner[block] as number]?.[size] ?? ofSize;
  }

  /** Gives a namespace with a cap an order of its own, or takes it away. Walks the whole pool. */
  setCap(namespace: number, policy: PolicyFactory | undefined): void {
    const { policies } = this.#namespaces;
    const blocks: number[] = [];
    for (let block = 0; block < this.numBlocks; block++) {
      const isCached = this.references[block] === 0 && this.#index.nodeOf(block) >= 0;
      if (isCached && this.owner[block] === namespace) blocks.push(block);
    }
    blocks.sort((a, b) => this.idleMs(b) - this.idleMs(a));
    for (const block of blocks) this.policyOf(block).remove(block);
    this.#numCapped += (policy === undefined ? 0 : 1) - (policies[namespace] === undefined ? 0 : 1);
    policies[namespace] = policy === undefined ? undefined : this.#contexts.map(policy);
    for (const block of blocks) {
      if (this.#parked[block] === 0) this.policyOf(block).insert(block, false);
    }
    if (policy !== undefined) this.#keepCap(namespace);
  }

  #policyContext(size: SizeClass): PolicyContext {
    return {
      numBlocks: this.numBlocks,
      numOwnBlocks: size.numBlocks,
      numCached: () => this.numCachedOf(this.sizes.indexOf(size)),
      lists: this.#lists,
      timesReused: this.timesReused,
      prefixHashOf: (block) => this.#index.hashOf(this.#index.nodeOf(block)),
      isHeld: (block) => (this.references[block] as number) > 0,
      idleMs: (block) => this.idleMs(block),
    };
  }

  #changeOwner(block: number, before: number, namespace: number): void {
    const { owned } = this.#namespaces;
    this.owner[block] = namespace;
    owned[namespace] = (owned[namespace] as number) + 1;
    if (before < 0) return;
    owned[before] = (owned[before] as number) - 1;
    if (owned[before] === 0) this.#namespaces.closeIfUnused(before);
  }

  #uncache(block: number): void {
    const namespace = this.owner[block] as number;
    const { cached, used } = this.#namespaces;
    cached[namespace] = (cached[namespace] as number) - 1;
    used[namespace] = (used[namespace] as number) + 1;
    this.#countCached(block, -1);
    this.#unsetParked(block);
    this.policyOf(block).reuse(block);
  }

  #countCached(block: number, change: number): void {
    const size = this.sizeOf(block);
    this.#numCached[size] = (this.#numCached[size] as number) + change;
  }

  #free(block: number): void {
    const size = this.sizeOf(block);
    this.#lists.pushFirst(FREE + size, block);
    this.#numFree[size] = (this.#numFree[size] as number) + 1;
  }

  /** The block to evict next, or -1. Candidates that a cached child needs are parked until that has gone. */
  #victim(size: number): number {
    let block = this.#candidate(size);
    while (block >= 0 && this.hasDependents(block)) {
      this.policyOf(block).remove(block);
      this.#setParked(block);
      block = this.#candidate(size);
    }
    return block;
  }

  /** Over the size's order and those of capped namespaces: of their candidates the one not used for longest. */
  #candidate(size: number): number {
    let best = (this.policies[size] as EvictionPolicy).candidate();
    if (this.#numCapped === 0) return best;
    for (const policies of this.#namespaces.policies) best = this.#longestIdle(best, policies?.[size]);
    return best;
  }

  #longestIdle(best: number, policy: EvictionPolicy | undefined): number {
    const block = policy?.candidate() ?? NONE;
    return block >= 0 && (best < 0 || this.idleMs(block) > this.idleMs(best)) ? block : best;
  }

  #keepCap(namespace: number): void {
    const policies = this.#namespaces.policies[namespace];
    const cap = this.#namespaces.quota(namespace)?.maxCachedBlocks;
    if (policies === undefined || cap === undefined) return;
    while ((this.#namespaces.cached[namespace] as number) > cap) {
      const block = policies.reduce((best, policy) => this.#longestIdle(best, policy), NONE);
      if (block < 0) return;
      if (this.hasDependents(block)) {
        this.policyOf(block).remove(block);
        this.#setParked(block);
      } else this.#drop(block, "namespace-cap");
    }
  }

  /** From the deepest: a block is taken out only after what depends on it. Nobody holds what depends on a cached block. */
  #clearBranch(block: number): void {
    const index = this.#index;
    const top = index.nodeOf(block);
    for (let node = top; this.hasDependents(block); ) {
      const child = index.firstChildOf(node);
      if (child >= 0) {
        node = child;
        continue;
      }
      const parent = index.parentOf(node);
      this.#clearNode(node);
      node = parent;
    }
    this.#drop(block, "cleared");
  }

  #clearNode(node: number): void {
    for (let unit = 0; unit < this.#index.numUnits; unit++) {
      for (let block = this.#index.blockOf(node, unit); block >= 0; block = this.#index.blockOf(node, unit)) {
        this.#drop(block, "cleared");
      }
    }
  }

  /** Takes the block out of the index and, if nobody holds it, to the free list; with the node, if that dies of it. */
  #detach(block: number, reason: EvictionReason, forNamespace: number): void {
    this.#log(block, reason, forNamespace);
    const index = this.#index;
    const unit = index.unitOf(block);
    const isEssential = this.#essential[unit] === 1;
    const node = index.detach(block);
    if (index.blockOf(node, unit) >= 0) return;
    if (index.numUnits > 1 && isEssential) this.#detachOthers(node);
    if (isEssential || this.#nodeHolds !== undefined) this.#removeIfEmpty(node);
  }

  /** As `#detach`, and the block, which nobody holds, is free. */
  #drop(block: number, reason: EvictionReason): void {
    this.#uncount(block);
    this.#detach(block, reason, NONE);
    this.#free(block);
  }

  #detachOthers(node: number): void {
    for (let unit = 0; unit < this.#index.numUnits; unit++) {
      for (let block = this.#index.blockOf(node, unit); block >= 0; block = this.#index.blockOf(node, unit)) {
        this.#log(block, "prefix-gone", NONE);
        this.#index.detach(block);
        if (this.references[block] !== 0) continue;
        this.#uncount(block);
        this.#free(block);
      }
    }
  }

  /** The block is no longer among the cached ones. */
  #uncount(block: number): void {
    const namespace = this.owner[block] as number;
    const { cached } = this.#namespaces;
    cached[namespace] = (cached[namespace] as number) - 1;
    this.#countCached(block, -1);
    this.#unsetParked(block);
    this.policyOf(block).remove(block);
  }

  #setParked(block: number): void {
    this.#parked[block] = 1;
    this.#numParked++;
  }

  #unsetParked(block: number): void {
    if (this.#numParked === 0) return;
    this.#numParked -= this.#parked[block] as number;
    this.#parked[block] = 0;
  }

  /** Removes a node without blocks and children, and what of its ancestors is left without either. */
  #removeIfEmpty(from: number): void {
    const index = this.#index;
    if (this.#nodeHolds === undefined) {
      // Its parent has the essential blocks that this one has lost, so that only this one goes.
      const parent = index.parentOf(from);
      index.remove(from);
      if (this.#numParked > 0 && !index.isRoot(parent) && index.firstChildOf(parent) < 0) this.#unpark(parent);
      return;
    }
    let node = from;
    while (!index.isRoot(node) && index.firstChildOf(node) < 0 && !this.#isNeeded(node)) {
      const parent = index.parentOf(node);
      index.remove(node);
      node = parent;
    }
    if (this.#numParked > 0 && !index.isRoot(node) && index.firstChildOf(node) < 0) this.#unpark(node);
  }

  #isNeeded(node: number): boolean {
    if (this.isNodeHeld(node)) return true;
    for (let unit = 0; unit < this.#index.numUnits; unit++) if (this.#index.blockOf(node, unit) >= 0) return true;
    return false;
  }

  /** Only a block without a twin is ever parked: it is the oldest at its place. */
  #unpark(node: number): void {
    for (let unit = 0; unit < this.#index.numUnits; unit++) {
      const block = this.#index.blockOf(node, unit);
      if (block < 0 || this.#parked[block] === 0) continue;
      this.#unsetParked(block);
      this.policyOf(block).restore(block);
    }
  }

  #log(block: number, reason: EvictionReason, forNamespace: number): void {
    this.#numRemoved++;
    if ((block & RESIDENCY_MASK) === 0) this.residency.removed(block, this.#nowMs, this.idleMs(block));
    if (this.observer !== undefined) this.observer.removed(block, reason);
    const from = this.owner[block] as number;
    this.evictions.add(block, reason, from, forNamespace, this.idleMs(block), this.timesReused[block] as number);
  }
}

function sum(counts: Int32Array): number {
  let total = 0;
  for (let i = 0; i < counts.length; i++) total += counts[i] as number;
  return total;
}
