import type { ReuseStatistics } from "./reuse-statistics.ts";

/** What is left of old evidence at each epoch: some 200 epochs, 25 pools full, count. */
const DECAY = 0.995;
/** Standard errors that must speak for what is learnt before it is followed, and against it before it is given up. */
const ERRORS_FOR = 2.5;
const ERRORS_AGAINST = 1;
/** Epochs of a trial, and before the first one; each that fails doubles the wait for the next. */
const TRIAL_EPOCHS = 32;

/**
 * Whether to follow what is learnt or to evict the least recently used, by the reuses of the sample: each is held against
 * what either would have kept until then, before it is learnt from.
 *
 * LRU keeps the youngest of those that wait, as many as fit, whoever decides: equal recency of a prefix and what depends on
 * it needs no tree. While what is learnt decides, what it keeps is what is hit; while LRU does, it is those worth most that
 * were so at every age since. That says too little of blocks that would have been kept and reused more often, so it is
 * also tried now and then.
 */
export class LruComparison {
  readonly #statistics: ReuseStatistics;
  readonly #order: Uint16Array; // [classes, ages], worth most first
  readonly #leastWorth: Float64Array; // [classes, ages]: of an age and all before it
  readonly #kept: Float64Array; // [classes, ages]: the part that what is learnt would keep
  #isLearntBetter: boolean = false;
  #epochs: number = 0; // since the last change of mind
  #epochsToWait: number = TRIAL_EPOCHS;
  #gain: number = 0; // sampled hits of what is learnt less those of LRU
  #squares: number = 0; // of the gains of requests: those of one request are not independent
  #requestGain: number = 0;
  #capacity: number = Number.POSITIVE_INFINITY; // sampled blocks that fit into the pool
  #youngAges: number = 0; // so many ages fitted in whole when the epoch began
  #numYoung: number = 0; // sampled blocks that wait, of those ages

  constructor(statistics: ReuseStatistics) {
    this.#statistics = statistics;
    const size = statistics.numClasses * statistics.numAges;
    this.#order = Uint16Array.from({ length: size }, (_, place) => place);
    this.#leastWorth = new Float64Array(size);
    this.#kept = new Float64Array(size).fill(1);
    this.rank();
  }

  /** Whether to follow what is learnt. */
  get isLearntBetter(): boolean {
    return this.#isLearntBetter;
  }

  /** So many sampled blocks fit into the pool now, besides those that sequences hold. */
  setCapacity(blocks: number): void {
    this.#capacity = blocks;
  }

  /** A sampled block begins to wait. What was reused since the last one did was one request's. */
  wait(): void {
    this.#numYoung++;
    if (this.#requestGain === 0) return;
    this.#gain += this.#requestGain;
    this.#squares += this.#requestGain * this.#requestGain;
    this.#requestGain = 0;
  }

  /** A sampled block is reused, which the cache had or had not; to be told before the statistics. */
  reuse(klass: number, age: number, isHit: boolean): void {
    const byLru = Math.min(1, Math.max(0, this.#lruAge() - age));
    const planned = this.#kept[klass * this.#statistics.numAges + age] as number;
    this.#requestGain += (this.#isLearntBetter ? Number(isHit) : planned) - byLru;
  }

  /** The cache had a sampled block that is older than any age that is followed. LRU would not. */
  hitBeyondAges(): void {
    this.#requestGain++;
  }

  /** A sampled block waits no longer. */
  stop(age: number): void {
    if (age < this.#youngAges) this.#numYoung--;
  }

  /** The worths have changed. */
  rank(): void {
    const { numAges } = this.#statistics;
    const least = this.#leastWorth;
    for (let place = 0; place < least.length; place++) {
      const age = place % numAges;
      const worth = this.#statistics.worth((place - age) / numAges, age);
      least[place] = age === 0 ? worth : Math.min(worth, least[place - 1] as number);
    }
    this.#order.sort((a, b) => (least[b] as number) - (least[a] as number) || (a % numAges) - (b % numAges));
  }

  /** An epoch has passed, and the statistics know it. */
  advance(): void {
    this.#keepWorthiest();
    this.#keepYoungest();
    this.#gain *= DECAY;
    this.#squares *= DECAY;
    this.#epochs++;
    if (this.#hasChangedMind()) {
      if (this.#isLearntBetter) this.#epochsToWait *= 2;
      this.#isLearntBetter = !this.#isLearntBetter;
      this.#epochs = 0;
      this.#gain = 0;
      this.#squares = 0;
    } else if (this.#isLearntBetter && this.#epochs > this.#epochsToWait) this.#epochsToWait = 2 * TRIAL_EPOCHS;
  }

  #hasChangedMind(): boolean {
    const error = Math.sqrt(this.#squares);
    if (this.#isLearntBetter) {
      return this.#gain < -ERRORS_AGAINST * error || (this.#gain < 0 && this.#epochs >= TRIAL_EPOCHS);
    }
    return this.#gain > ERRORS_FOR * error || (this.#gain >= 0 && this.#epochs >= this.#epochsToWait);
  }

  #keepWorthiest(): void {
    const { numAges } = this.#statistics;
    let left = this.#capacity;
    for (const place of this.#order) {
      const age = place % numAges;
      const waiting = this.#statistics.waiting((place - age) / numAges, age);
      this.#kept[place] = waiting <= left ? 1 : left / waiting;
      left = Math.max(0, left - waiting);
    }
  }

  #keepYoungest(): void {
    this.#youngAges = 0;
    this.#numYoung = 0;
    for (let age = 0; age < this.#statistics.numAges; age++) {
      const waiting = this.#statistics.waitingOfAll(age);
      if (this.#numYoung + waiting > this.#capacity) return;
      this.#numYoung += waiting;
      this.#youngAges = age + 1;
    }
  }

  /** The age up to which LRU would have kept everything by now, with the part of the last age that it would have. */
  #lruAge(): number {
    const left = this.#capacity - this.#numYoung;
    const last = left >= 0 ? Math.min(this.#youngAges, this.#statistics.numAges - 1) : Math.max(0, this.#youngAges - 1);
    return this.#youngAges + left / Math.max(1, this.#statistics.waitingOfAll(last));
  }
}
