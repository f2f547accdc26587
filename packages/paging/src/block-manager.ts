import { BlockAllocator } from "./block-allocator.ts";
import { BlockDemand } from "./block-demand.ts";
import type { BlockId } from "./block-id.ts";
import { BlockTable, type TableRegistry } from "./block-table.ts";
import { type BlockOperation, BlockWork, type ScrubPolicy } from "./block-work.ts";
import { CacheEvents } from "./cache-events.ts";
import { checkInteger, checkOneOf } from "./check.ts";
import type { PolicyFactory } from "./eviction-policy.ts";
import { type BlockExplanation, explainBlock } from "./explain.ts";
import { checkInvariants } from "./invariants.ts";
import { isEssential, type LayerGroup, type LayerGroupSpec, layerGroups } from "./layer-group.ts";
import { type Namespace, namespaceKey } from "./namespace.ts";
import { type NamespaceQuota, NamespaceTable } from "./namespace-table.ts";
import { type Pin, pinMatch } from "./pin.ts";
import { type PolicyName, policyFactory } from "./policies/by-name.ts";
import { LruPolicy } from "./policies/lru.ts";
import type { Pool } from "./pool.ts";
import type { PrefixHash } from "./prefix-hash.ts";
import { PrefixIndex } from "./prefix-index.ts";
import { matchPrefix, type PrefixMatch } from "./prefix-match.ts";
import type { DurationHistogram } from "./residency.ts";
import { checkRetention } from "./retention.ts";
import { releaseSequence, Sequence, type SequenceOptions } from "./sequence.ts";
import { appendTokens } from "./sequence-append.ts";
import { takeMatch } from "./sequence-take.ts";
import { type SizeClass, type SizeClassSpec, sizeClasses } from "./size-class.ts";
import { checkTokens, type KeyedRange, TokenKeys } from "./token-keys.ts";
import { type PoolUsage, poolUsage } from "./usage.ts";

/** The pool and how it is used. */
export interface BlockManagerOptions {
  numBlocks: number;
  tokensPerBlock: number;
  /** For the accounts. Default 1: then bytes count blocks. */
  bytesPerBlock?: number;
  /**
   * Blocks of other sizes, for layer groups whose blocks do not come out equal. The blocks of each size are numbered
   * behind those of the sizes before it.
   */
  moreSizes?: readonly SizeClassSpec[];
  /** Default: one group that keeps every token. */
  groups?: readonly LayerGroupSpec[];
  /** Which cached block goes first. Default "reuse-rate". */
  policy?: PolicyName | PolicyFactory;
  /** Most blocks that pins hold together. Default: a quarter of the pool. */
  maxPinnedBlocks?: number;
  /** Which blocks `takeWork` tells to overwrite. Default "never". */
  scrub?: ScrubPolicy;
  /** Milliseconds, never going back. Default `performance.now`. */
  clock?: () => number;
  /** Where to look for stored prefixes; never decides a hit. For tests of collisions. */
  prefixHash?: PrefixHash;
}

/** What is looked up, and where. */
export interface PrefixOptions {
  /** Only prefixes of the same namespace are found. */
  namespace?: Namespace;
  /** Tokens that mean more than their number, such as an image's place holders. */
  keys?: readonly KeyedRange[];
}

/** A new sequence. */
export interface CreateSequenceOptions extends PrefixOptions, SequenceOptions {
  /** Most tokens to take from the cache. Default: all but the last, whose logits choose the first new token. */
  maxReusedTokens?: number;
  /** Also reuse a part of one more block, by copying it. Default false. */
  intoBlocks?: boolean;
}

/** Totals since the manager was made, and blocks now. Reading them costs nothing. */
export interface ManagerCounters {
  readonly heldBlocks: number;
  readonly cachedBlocks: number;
  readonly freeBlocks: number;
  readonly pinnedBlocks: number;
  readonly sequences: number;
  /** Tokens that sequences were created with, and those of them that were in the cache. */
  readonly promptTokens: number;
  readonly reusedTokens: number;
  /** Blocks that became reusable, and that stopped being so. */
  readonly storedBlocks: number;
  readonly removedBlocks: number;
  /** How long blocks were in the cache, and unused there, from a sample. */
  readonly lifetime: DurationHistogram;
  readonly idle: DurationHistogram;
}

/**
 * Blocks of a key/value cache: which sequence holds which, what they hold, and which is given away next.
 *
 * Pure bookkeeping. What it decides has to be done by whoever has the memory: writing keys and values to the slots of
 * block tables, and the copies and scrubs that `takeWork` hands out.
 */
export class BlockManager {
  readonly numBlocks: number;
  readonly tokensPerBlock: number;
  /** Blocks by size; most pools have one. */
  readonly sizes: readonly SizeClass[];
  readonly maxPinnedBlocks: number;
  /** What enters and leaves the cache, for routers and other caches. */
  readonly events: CacheEvents;
  readonly #pool: Pool;
  readonly #sequences: Map<BlockTable, Sequence> = new Map();
  readonly #pins: Set<Pin> = new Set();
  #promptTokens = 0;
  #reusedTokens = 0;

  /** @throws InvalidOptionError */
  constructor(options: BlockManagerOptions) {
    this.#pool = makePool(options);
    this.numBlocks = this.#pool.allocator.numBlocks;
    this.tokensPerBlock = this.#pool.tokensPerBlock;
    this.sizes = this.#pool.allocator.sizes;
    const cap = options.maxPinnedBlocks ?? Math.floor(this.numBlocks / 4);
    this.maxPinnedBlocks = checkInteger("maxPinnedBlocks", cap, 0, this.numBlocks);
    this.events = new CacheEvents(this.#pool);
  }

  /** The layer groups with their defaults, in the order in which they were given. */
  get groups(): readonly LayerGroup[] {
    return this.#pool.groups;
  }

  /** Bytes that the bookkeeping takes, besides the tokens that prove hits and besides each sequence's own table. */
  get bookkeepingBytes(): number {
    return this.#pool.index.bookkeepingBytes + this.#pool.allocator.bookkeepingBytes;
  }

  /**
   * A sequence with these tokens: the longest cached prefix is shared, the rest gets new blocks.
   *
   * @throws OutOfBlocksError, QuotaError, InvalidTokenError, InvalidOptionError; then nothing has changed
   */
  createSequence(tokens: Int32Array | readonly number[], options: CreateSequenceOptions = {}): BlockTable {
    return this.#create(checkTokens(tokens), options, true);
  }

  /**
   * A sequence with only the cached prefix of these tokens, to which the caller appends the rest as it computes it:
   * `append(tokens.subarray(table.length))`. Errors as `createSequence`.
   */
  openSequence(tokens: Int32Array | readonly number[], options: CreateSequenceOptions = {}): BlockTable {
    return this.#create(checkTokens(tokens), options, false);
  }

  /** How many leading tokens `createSequence` would find in the cache. Changes nothing. */
  countReusable(tokens: Int32Array | readonly number[], options: CreateSequenceOptions = {}): number {
    const checked = checkTokens(tokens);
    const namespace = this.#pool.namespaces.find(options.namespace);
    if (namespace < 0) return 0;
    const keyed = this.#pool.keys.apply(checked, options.keys);
    try {
      const { numSpans, partial } = this.#match(namespace, keyed, options, checked.length - 1);
      return numSpans * this.tokensPerBlock + (partial?.numTokens ?? 0);
    } finally {
      if (keyed !== checked) this.#pool.keys.release(keyed);
    }
  }

  /**
   * Keeps the cached prefix of these tokens, whole blocks of it, until the pin is disposed of.
   *
   * @throws PinLimitError when all pins together would keep more than `maxPinnedBlocks`; QuotaError
   */
  pin(tokens: Int32Array | readonly number[], options: PrefixOptions = {}): Pin {
    const checked = checkTokens(tokens);
    const { namespaces, keys } = this.#pool;
    namespaceKey(options.namespace); // throws before anything is counted
    const keyed = keys.apply(checked, options.keys);
    const namespace = namespaces.open(options.namespace);
    try {
      const match = this.#match(namespace, keyed, {}, checked.length);
      const pin = pinMatch(this.#pool, namespace, match, this.maxPinnedBlocks, (each) => this.#pins.delete(each));
      this.#pins.add(pin);
      return pin;
    } finally {
      if (keyed !== checked) keys.release(keyed);
      namespaces.closeIfUnused(namespace);
    }
  }

  /** Limits a namespace, or with `undefined` lifts its limits. Evicts what is above a cap. Walks the pool. */
  setQuota(namespace: Namespace, quota: NamespaceQuota | undefined): void {
    for (const [name, value] of Object.entries(quota ?? {})) checkInteger(name, value, 0);
    const { namespaces, allocator } = this.#pool;
    const number = namespaces.open(namespace);
    namespaces.setQuota(number, quota);
    const isCapped = quota?.maxCachedBlocks !== undefined;
    allocator.readClock();
    allocator.setCap(number, isCapped ? (context) => new LruPolicy(context) : undefined);
    namespaces.closeIfUnused(number);
  }

  /** Forgets all cached prefixes that nobody holds, of one namespace or of all. Returns how many blocks. Walks the pool. */
  clear(namespace?: Namespace): number {
    const { namespaces, allocator } = this.#pool;
    const number = namespace === undefined ? undefined : namespaces.find(namespace);
    if (number !== undefined && number < 0) return 0;
    const label = number === undefined ? undefined : namespaces.label(number);
    return this.events.cleared(label, () => allocator.clear(number));
  }

  /**
   * What has to be done on the device, in this order, before the next keys and values are written: scrubs and copies.
   * Hands each out once.
   */
  takeWork(): BlockOperation[] {
    return this.#pool.work.take();
  }

  /** Why a block is kept, or why it is gone. @throws InvalidOptionError if there is no such block */
  explain(block: BlockId | number): BlockExplanation {
    return explainBlock(this.#pool, checkInteger("block", block, 0, this.numBlocks - 1));
  }

  /** Where all blocks are, by holder and by namespace, and what of them is wasted. Walks the pool. */
  usage(): PoolUsage {
    return poolUsage(this.#pool, this.#sequences.values(), this.#pins);
  }

  /** Totals and gauges that cost nothing to read. */
  counters(): ManagerCounters {
    const { allocator } = this.#pool;
    return {
      heldBlocks: allocator.numHeld,
      cachedBlocks: allocator.numCached,
      freeBlocks: allocator.numFree,
      pinnedBlocks: allocator.numPinned,
      sequences: this.#sequences.size,
      promptTokens: this.#promptTokens,
      reusedTokens: this.#reusedTokens,
      storedBlocks: allocator.numStored,
      removedBlocks: allocator.numRemoved,
      lifetime: allocator.residency.lifetime,
      idle: allocator.residency.idle,
    };
  }

  /** Recounts everything. @throws InvariantError if the bookkeeping contradicts itself */
  checkInvariants(): void {
    checkInvariants(this.#pool, [...this.#sequences.values()], [...this.#pins]);
  }

  #create(tokens: Int32Array, options: CreateSequenceOptions, appendsRest: boolean): BlockTable {
    if (options.retention !== undefined) checkRetention(options.retention);
    const { keys, namespaces, index } = this.#pool;
    namespaceKey(options.namespace); // throws before anything is counted
    const keyed = keys.apply(tokens, options.keys);
    const namespace = namespaces.open(options.namespace);
    const sequence = new Sequence(this.#pool, namespace, index.root(namespace), options);
    if (keyed !== tokens) sequence.keyed.push(keyed);
    try {
      const match = this.#match(namespace, keyed, options, tokens.length - 1);
      takeMatch(sequence, match, keyed, appendsRest ? tokens.length : 0);
    } catch (error) {
      releaseSequence(sequence);
      throw error;
    }
    return this.#begin(sequence, keyed, appendsRest);
  }

  #begin(sequence: Sequence, tokens: Int32Array, appendsRest: boolean): BlockTable {
    const reusedTokens = sequence.length;
    if (sequence.storesOnCommit) sequence.committed = reusedTokens;
    if (appendsRest) appendTokens(sequence, tokens, reusedTokens);
    this.#promptTokens += tokens.length;
    this.#reusedTokens += reusedTokens;
    return new BlockTable(sequence, reusedTokens, this.#registry);
  }

  #match(namespace: number, tokens: Int32Array, options: CreateSequenceOptions, mostTokens: number): PrefixMatch {
    const most = Math.min(options.maxReusedTokens ?? mostTokens, tokens.length);
    const maxTokens = Math.max(0, checkInteger("maxReusedTokens", most, -1));
    return matchPrefix(this.#pool, this.#pool.index.root(namespace), tokens, maxTokens, options.intoBlocks ?? false);
  }

  readonly #registry: TableRegistry = {
    add: (table, sequence) => this.#sequences.set(table, sequence),
    delete: (table) => this.#sequences.delete(table),
  };
}

function makePool(options: BlockManagerOptions): Pool {
  const sizes = sizeClasses([options, ...(options.moreSizes ?? [])]);
  const tokensPerBlock = checkInteger("tokensPerBlock", options.tokensPerBlock, 1, 65536);
  const scrub = checkOneOf("scrub", options.scrub ?? "never", ["never", "between-namespaces", "always"] as const);
  const policy = policyFactory(options.policy ?? "reuse-rate");
  const groups = layerGroups(options.groups ?? [{ name: "all", kind: "full" }], tokensPerBlock, sizes);
  const groupOfUnit = groups.flatMap((group) => new Array<LayerGroup>(group.blocksPerSpan).fill(group));
  const units = groupOfUnit.map((_, unit) => unit);
  const essentialUnits = Uint8Array.from(groupOfUnit, (group) => (isEssential(group) ? 1 : 0));
  const keys = new TokenKeys();
  const namespaces = new NamespaceTable();
  const work = new BlockWork(scrub);
  const index = new PrefixIndex({
    numBlocks: sizes.reduce((sum, size) => sum + size.numBlocks, 0),
    tokensPerBlock,
    numUnits: units.length,
    numNodes: mostNodes(sizes, groups),
    tokenKeys: keys,
    ...(options.prefixHash === undefined ? {} : { prefixHash: options.prefixHash }),
  });
  const clock = options.clock ?? (() => performance.now());
  const allocator = new BlockAllocator({ sizes, index, namespaces, policy, essentialUnits, clock, work });
  return {
    tokensPerBlock,
    groups,
    groupOfUnit,
    sizeOfUnit: Uint8Array.from(groupOfUnit, ({ sizeClass }) => sizeClass),
    tokenUnits: units.filter((unit) => groupOfUnit[unit]?.kind !== "state"),
    stateUnits: units.filter((unit) => groupOfUnit[unit]?.kind === "state"),
    hasWindows: groups.some(({ kind }) => kind === "sliding" || kind === "chunked"),
    index,
    allocator,
    namespaces,
    work,
    keys,
    demand: new BlockDemand(sizes.length),
    path: new Int32Array(1024),
    oneToken: new Int32Array(1),
  };
}

/** A node has all of its essential blocks or is gone; without essential groups it may have one block of any. */
function mostNodes(sizes: readonly SizeClass[], groups: readonly LayerGroup[]): number {
  const needed = new Int32Array(sizes.length);
  for (const group of groups) {
    if (isEssential(group)) needed[group.sizeClass] = (needed[group.sizeClass] as number) + group.blocksPerSpan;
  }
  const counts = sizes.map(({ numBlocks }) => numBlocks);
  if (!needed.some((count) => count > 0)) return counts.reduce((sum, count) => sum + count);
  return Math.min(...counts.map((count, size) => Math.ceil(count / (needed[size] as number))));
}
