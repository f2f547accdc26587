import type { EvictionPolicy, PolicyContext } from "../eviction-policy.ts";
import { mix32 } from "../prefix-hash.ts";
import { LruComparison } from "./lru-comparison.ts";
import { ReuseStatistics } from "./reuse-statistics.ts";

/** A power of two. */
const NUM_AGES = 64;
/** Times reused, 0 to 7 and more; the last class is the deepest block of a sequence, which hardly ever comes back. */
const NUM_CLASSES = 9;
const DEEPEST = NUM_CLASSES - 1;
/** Epochs in which as many blocks are let go of as the pool has. */
const EPOCHS_PER_POOL = 8;
/** Most prefixes followed beyond their eviction; a constant, whatever the size of the pool. */
const MAX_FOLLOWED = 32768;
const WARM_UP_EPOCHS = 8;
const EPOCHS_PER_ESTIMATE = 4;
const MIN_EPOCH_BLOCKS = 64;

/**
 * Evicts first what is least likely to be reused soon, as learnt from the traffic itself, or what was not used for longest
 * while nothing speaks for more than that.
 *
 * Cached blocks are sorted by class (how often reused) and age (how long nobody has used them). For each the rate of
 * reuse is estimated from a sample of prefixes that is followed beyond eviction, and the pair with the lowest best rate
 * goes first. The same sample tells what LRU would have hit. Sources: least hit density (Beckmann, Chen, Cidon, NSDI 2018)
 * for the idea, Gittins' index for the worth of waiting, SHARDS (Waldspurger et al., FAST 2015) for sampling by hash.
 * `docs/eviction-policies.md` has the measurements.
 */
export class ReuseRatePolicy implements EvictionPolicy {
  readonly name = "reuse-rate";
  readonly #context: PolicyContext;
  readonly #statistics: ReuseStatistics = new ReuseStatistics(NUM_CLASSES, NUM_AGES);
  readonly #comparison: LruComparison = new LruComparison(this.#statistics);
  readonly #firstList: number; // [classes, epochs modulo ages]
  readonly #order: Uint16Array; // places [classes, ages], the one to evict from first first
  readonly #rank: Uint16Array; // where a place is in that order
  readonly #followed: Map<number, number> = new Map(); // prefix hash: epoch and class, oldest first
  readonly #sampleShare: number;
  readonly #isSampled: Uint8Array; // [blocks]
  readonly #epochBlocks: number;
  #usesLru: boolean = true;
  #hasEvicted: boolean = false;
  #epoch = 0;
  #blocksInEpoch = 0;
  #lowest = 0;
  #lastLowest = -1; // where, in which list and of which idle time the last candidate under LRU was
  #lastList = 0;
  #lastMs = 0;

  constructor(context: PolicyContext) {
    this.#context = context;
    this.#firstList = context.lists.add(NUM_CLASSES * NUM_AGES);
    this.#epochBlocks = Math.max(MIN_EPOCH_BLOCKS, Math.floor(context.numOwnBlocks / EPOCHS_PER_POOL));
    this.#sampleShare = Math.min(1, MAX_FOLLOWED / (this.#epochBlocks * NUM_AGES));
    this.#isSampled = new Uint8Array(context.numBlocks);
    this.#order = Uint16Array.from({ length: NUM_CLASSES * NUM_AGES }, (_, place) => place);
    this.#rank = new Uint16Array(this.#order.length);
    this.#sortPlaces();
    this.#measureCapacity();
  }

  stored(block: number): void {
    this.#isSampled[block] = Number(this.#hashOf(block) < this.#sampleShare * 2 ** 32);
    this.#reused(block, false);
  }

  insert(block: number, deepest: boolean): void {
    const klass = deepest ? DEEPEST : Math.min(this.#context.timesReused[block] as number, DEEPEST - 1);
    this.#follow(block, klass);
    const youngest = klass * NUM_AGES;
    this.#context.lists.pushLast(this.#listOf(youngest), block);
    this.#lowest = Math.min(this.#lowest, this.#rank[youngest] as number);
    if (++this.#blocksInEpoch >= this.#epochBlocks) this.#advance();
  }

  reuse(block: number): void {
    this.#reused(block, true);
    this.remove(block);
  }

  remove(block: number): void {
    if (this.#context.lists.has(block)) this.#context.lists.remove(block);
  }

  candidate(): number {
    this.#hasEvicted = true;
    for (; this.#lowest < this.#order.length; this.#lowest++) {
      const block = this.#firstOf(this.#lowest);
      if (block >= 0) return this.#usesLru ? this.#leastRecent(block) : block;
    }
    return -1;
  }

  /** Its last child was to go first of all and has just gone, and it was let go of with that child. */
  restore(block: number): void {
    const lowest = Math.min(this.#lowest, this.#order.length - 1);
    this.#context.lists.pushFirst(this.#listOf(this.#order[lowest] as number), block);
    this.#lowest = lowest;
  }

  explain(block: number): string {
    if (this.#usesLru) {
      return (
        "reuse-rate: goes when all blocks that were let go of earlier have gone; what is learnt from the traffic " +
        "would not have hit more than that"
      );
    }
    const reused = Math.min(this.#context.timesReused[block] as number, DEEPEST - 1);
    const worth = this.#statistics.worth(reused, 0);
    return (
      `reuse-rate: reused ${this.#context.timesReused[block]} times; such blocks, just let go of, are worth ` +
      `${worth.toPrecision(3)} reuses per epoch of ${this.#epochBlocks} blocks; goes when all that are worth less have gone`
    );
  }

  /** Of one age. What was let go of at one time is of one list mostly: that list is asked first. */
  #leastRecent(first: number): number {
    if (this.#lowest === this.#lastLowest) {
      const block = this.#context.lists.first(this.#lastList);
      if (block >= 0 && this.#context.idleMs(block) === this.#lastMs) return block;
    }
    return this.#longestIdle(first);
  }

  /** Those let go of together have one time: of them the deepest, which is of the lower class. */
  #longestIdle(first: number): number {
    const { lists } = this.#context;
    const list = this.#listOf((this.#order[this.#lowest] as number) % NUM_AGES);
    let best = first;
    this.#lastLowest = this.#lowest;
    this.#lastList = this.#listOf(this.#order[this.#lowest] as number);
    this.#lastMs = this.#context.idleMs(first);
    for (let klass = 0; klass < DEEPEST; klass++) {
      const block = lists.first(list + klass * NUM_AGES);
      if (block < 0 || block === first) continue;
      const ms = this.#context.idleMs(block);
      if (ms <= this.#lastMs) continue;
      best = block;
      this.#lastList = list + klass * NUM_AGES;
      this.#lastMs = ms;
    }
    return best;
  }

  #firstOf(rank: number): number {
    return this.#context.lists.first(this.#listOf(this.#order[rank] as number));
  }

  #listOf(place: number): number {
    const age = place % NUM_AGES;
    return this.#firstList + place - age + ((this.#epoch - age) & (NUM_AGES - 1));
  }

  #follow(block: number, klass: number): void {
    if (this.#isSampled[block] === 0) return;
    const hash = this.#hashOf(block);
    const since = this.#followed.get(hash);
    if (since !== undefined) this.#endFollowing(hash, since, false);
    this.#followed.set(hash, this.#epoch * NUM_CLASSES + klass);
    this.#statistics.wait(klass);
    this.#comparison.wait();
    this.#measureCapacity();
  }

  /** What the block holds is used again, and the cache had it or had not. */
  #reused(block: number, isHit: boolean): void {
    if (this.#isSampled[block] === 0) return;
    const hash = this.#hashOf(block);
    const since = this.#followed.get(hash);
    if (since !== undefined) {
      this.#comparison.reuse(since % NUM_CLASSES, this.#epoch - Math.floor(since / NUM_CLASSES), isHit);
      this.#endFollowing(hash, since, true);
    } else if (isHit) this.#comparison.hitBeyondAges();
    if (isHit) this.#measureCapacity();
  }

  #endFollowing(hash: number, since: number, isReused: boolean): void {
    this.#followed.delete(hash);
    const age = this.#epoch - Math.floor(since / NUM_CLASSES);
    this.#statistics.stop(since % NUM_CLASSES, age, isReused);
    this.#comparison.stop(age);
  }

  /** Not when blocks are stored: what is stored together was looked up before any of it took a block. */
  #measureCapacity(): void {
    const blocks = this.#hasEvicted ? this.#context.numCached() : this.#context.numOwnBlocks;
    this.#comparison.setCapacity(blocks * this.#sampleShare);
  }

  #hashOf(block: number): number {
    return mix32(this.#context.prefixHashOf(block)) >>> 0;
  }

  #advance(): void {
    this.#blocksInEpoch = 0;
    this.#statistics.advance();
    this.#epoch++;
    this.#forgetOldest();
    this.#mergeOldest();
    this.#lowest = 0;
    this.#lastLowest = -1;
    const isEstimated = this.#epoch >= WARM_UP_EPOCHS && this.#epoch % EPOCHS_PER_ESTIMATE === 0;
    if (isEstimated) {
      this.#statistics.estimate();
      this.#comparison.rank();
    }
    this.#comparison.advance();
    const usesLru = this.#epoch < WARM_UP_EPOCHS || !this.#comparison.isLearntBetter;
    if (usesLru === this.#usesLru && (usesLru || !isEstimated)) return;
    this.#usesLru = usesLru;
    this.#sortPlaces();
  }

  #forgetOldest(): void {
    for (const [hash, since] of this.#followed) {
      if (this.#epoch - Math.floor(since / NUM_CLASSES) < NUM_AGES) return;
      this.#followed.delete(hash);
    }
  }

  /** The lists of the new epoch are those of the epoch that is now beyond the oldest age: its blocks join that age. */
  #mergeOldest(): void {
    for (let klass = 0; klass < NUM_CLASSES; klass++) {
      const start = this.#firstList + klass * NUM_AGES;
      this.#context.lists.prepend(start + (this.#epoch % NUM_AGES), start + ((this.#epoch + 1) % NUM_AGES));
    }
  }

  /** By worth, then by age, then by class; under LRU by age and class alone. */
  #sortPlaces(): void {
    const age = (place: number): number => place % NUM_AGES;
    const klass = (place: number): number => Math.floor(place / NUM_AGES);
    const worth = (place: number): number => (this.#usesLru ? 0 : this.#statistics.worth(klass(place), age(place)));
    const isDeepest = (place: number): number => Number(klass(place) === DEEPEST);
    this.#order.sort(
      (a, b) => worth(a) - worth(b) || age(b) - age(a) || isDeepest(b) - isDeepest(a) || klass(a) - klass(b),
    );
    for (let rank = 0; rank < this.#order.length; rank++) this.#rank[this.#order[rank] as number] = rank;
    this.#lowest = 0;
  }
}
