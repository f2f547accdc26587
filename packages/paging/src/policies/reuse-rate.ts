import type { EvictionPolicy, PolicyContext } from "../eviction-policy.ts";
import { mix32 } from "../prefix-hash.ts";
import { ReuseStatistics } from "./reuse-statistics.ts";

const NUM_AGES = 64;
/** Times reused, 0 to 7 and more; the last class is the deepest block of a sequence, which hardly ever comes back. */
const NUM_CLASSES = 9;
const DEEPEST = NUM_CLASSES - 1;
/** Epochs in which as many blocks are let go of as the pool has. */
const EPOCHS_PER_POOL = 8;
/** Most prefixes followed beyond their eviction; a constant, whatever the size of the pool. */
const MAX_FOLLOWED = 16384;
const WARM_UP_EPOCHS = 8;
const EPOCHS_PER_ESTIMATE = 4;
const MIN_EPOCH_BLOCKS = 64;

/**
 * Evicts first what is least likely to be reused soon, as learnt from the traffic itself.
 *
 * Cached blocks are sorted by class (how often reused) and age (how long nobody has used them). For each the rate of
 * reuse is estimated from a sample of prefixes that is followed beyond eviction, and the pair with the lowest best rate
 * goes first. Until the first estimate it is least recently used. Sources: least hit density (Beckmann, Chen, Cidon,
 * NSDI 2018) for the idea, Gittins' index for the worth of waiting, SHARDS (Waldspurger et al., FAST 2015) for sampling
 * by hash. `docs/eviction-policies.md` has the measurements.
 */
export class ReuseRatePolicy implements EvictionPolicy {
  readonly name = "reuse-rate";
  readonly #context: PolicyContext;
  readonly #statistics: ReuseStatistics = new ReuseStatistics(NUM_CLASSES, NUM_AGES);
  readonly #firstList: number; // [classes, epochs modulo ages]
  readonly #order: Uint16Array = new Uint16Array(NUM_CLASSES * NUM_AGES); // lists by worth, the least first
  readonly #rank: Uint16Array = new Uint16Array(NUM_CLASSES * NUM_AGES); // where a list is in that order
  readonly #followed: Map<number, number> = new Map(); // prefix hash: epoch and class, oldest first
  readonly #sampleBelow: number;
  readonly #epochBlocks: number;
  #epoch = 0;
  #blocksInEpoch = 0;
  #lowest = 0;

  constructor(context: PolicyContext) {
    this.#context = context;
    this.#firstList = context.lists.add(NUM_CLASSES * NUM_AGES);
    this.#epochBlocks = Math.max(MIN_EPOCH_BLOCKS, Math.floor(context.numOwnBlocks / EPOCHS_PER_POOL));
    const blocksFollowed = this.#epochBlocks * NUM_AGES;
    this.#sampleBelow = Math.min(1, MAX_FOLLOWED / blocksFollowed) * 2 ** 32;
    this.#sortLists();
  }

  stored(block: number): void {
    this.#observe(block, true);
  }

  insert(block: number, deepest: boolean): void {
    const klass = deepest ? DEEPEST : Math.min(this.#context.timesReused[block] as number, DEEPEST - 1);
    this.#follow(block, klass);
    this.#push(klass * NUM_AGES + (this.#epoch % NUM_AGES), block);
    if (++this.#blocksInEpoch >= this.#epochBlocks) this.#advance();
  }

  reuse(block: number): void {
    this.#observe(block, true);
    this.remove(block);
  }

  remove(block: number): void {
    if (this.#context.lists.has(block)) this.#context.lists.remove(block);
  }

  candidate(): number {
    const { lists } = this.#context;
    for (; this.#lowest < this.#order.length; this.#lowest++) {
      const block = lists.first(this.#firstList + (this.#order[this.#lowest] as number));
      if (block >= 0) return block;
    }
    return -1;
  }

  /** Its last child was worth least of all and has just gone, and it was let go of with that child. */
  restore(block: number): void {
    const lowest = Math.min(this.#lowest, this.#order.length - 1);
    this.#context.lists.pushFirst(this.#firstList + (this.#order[lowest] as number), block);
    this.#lowest = lowest;
  }

  explain(block: number): string {
    const reused = Math.min(this.#context.timesReused[block] as number, DEEPEST - 1);
    const worth = this.#statistics.worth(reused, 0);
    return (
      `reuse-rate: reused ${this.#context.timesReused[block]} times; such blocks, just let go of, are worth ` +
      `${worth.toPrecision(3)} reuses per epoch of ${this.#epochBlocks} blocks; goes when all that are worth less have gone`
    );
  }

  #push(list: number, block: number): void {
    this.#context.lists.pushLast(this.#firstList + list, block);
    const rank = this.#rank[list] as number;
    if (rank < this.#lowest) this.#lowest = rank;
  }

  #follow(block: number, klass: number): void {
    const hash = this.#sampledHash(block);
    if (hash < 0) return;
    this.#observe(block, false);
    this.#followed.set(hash, this.#epoch * NUM_CLASSES + klass);
    this.#statistics.wait(klass);
  }

  /** Ends following what the block holds. */
  #observe(block: number, reused: boolean): void {
    const hash = this.#sampledHash(block);
    const since = hash < 0 ? undefined : this.#followed.get(hash);
    if (since === undefined) return;
    this.#followed.delete(hash);
    this.#statistics.stop(since % NUM_CLASSES, this.#epoch - Math.floor(since / NUM_CLASSES), reused);
  }

  #sampledHash(block: number): number {
    const hash = mix32(this.#context.prefixHashOf(block)) >>> 0;
    return hash < this.#sampleBelow ? hash : -1;
  }

  #advance(): void {
    this.#blocksInEpoch = 0;
    this.#statistics.advance();
    this.#epoch++;
    this.#forgetOldest();
    this.#mergeOldest();
    if (this.#epoch >= WARM_UP_EPOCHS && this.#epoch % EPOCHS_PER_ESTIMATE === 0) this.#statistics.estimate();
    this.#sortLists();
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

  #sortLists(): void {
    const worths = new Float64Array(this.#order.length);
    const age = (list: number): number => (((this.#epoch - list) % NUM_AGES) + NUM_AGES) % NUM_AGES;
    for (let list = 0; list < worths.length; list++) {
      worths[list] = this.#statistics.worth(Math.floor(list / NUM_AGES), age(list % NUM_AGES));
      this.#order[list] = list;
    }
    this.#order.sort(
      (a, b) => (worths[a] as number) - (worths[b] as number) || age(b % NUM_AGES) - age(a % NUM_AGES) || a - b,
    );
    for (let rank = 0; rank < this.#order.length; rank++) this.#rank[this.#order[rank] as number] = rank;
    this.#lowest = 0;
  }
}
