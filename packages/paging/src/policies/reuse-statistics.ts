/** Expected reuses that a block needs before its own statistics outweigh the prior. */
const PRIOR_EXPOSURE = 8;
/** How the prior of an age follows from the one before it: what was never seen that old is thought less likely. */
const PRIOR_FALL = 0.8;
/** What is left of old statistics at each estimate, so that a change of traffic shows within some forty epochs. */
const DECAY = 0.9;

/**
 * How often blocks of a class are reused at which age, counted in epochs, and what keeping one is worth.
 *
 * Ages and reuses come from a sample that is followed beyond evictions; counting only what the cache still had would
 * confirm whatever the cache does already.
 */
export class ReuseStatistics {
  readonly #reuses: Float64Array; // [classes, ages]
  readonly #exposure: Float64Array; // [classes, ages]: sampled blocks that became that old without a reuse
  readonly #waiting: Float64Array; // [classes, ages]: sampled blocks of that age now
  readonly #worth: Float64Array; // [classes, ages]

  constructor(
    readonly numClasses: number,
    readonly numAges: number,
  ) {
    const size = numClasses * numAges;
    this.#reuses = new Float64Array(size);
    this.#exposure = new Float64Array(size);
    this.#waiting = new Float64Array(size);
    // Until there are statistics, the youngest is worth most: least recently used.
    this.#worth = Float64Array.from({ length: size }, (_, place) => 1 / (1 + (place % numAges)));
  }

  /** Best expected reuses per epoch of keeping a block of this class and age for as long as that is best. */
  worth(klass: number, age: number): number {
    return this.#worth[klass * this.numAges + age] as number;
  }

  /** A sampled block begins to wait for a reuse. */
  wait(klass: number): void {
    this.#add(this.#waiting, klass * this.numAges, 1);
  }

  /** A sampled block that waited `age` epochs was reused, or is no longer followed. */
  stop(klass: number, age: number, reused: boolean): void {
    const place = klass * this.numAges + age;
    this.#add(this.#waiting, place, -1);
    if (reused) this.#add(this.#reuses, place, 1);
  }

  /** Sampled blocks of a class that have waited so many epochs. */
  waiting(klass: number, age: number): number {
    return this.#waiting[klass * this.numAges + age] as number;
  }

  /** As `waiting`, of all classes. */
  waitingOfAll(age: number): number {
    return sum(this.#waiting, age, this.numAges);
  }

  /** Everybody who waits becomes an epoch older. */
  advance(): void {
    for (let place = 0; place < this.#waiting.length; place++) {
      this.#add(this.#exposure, place, this.#waiting[place] as number);
    }
    for (let start = 0; start < this.#waiting.length; start += this.numAges) {
      this.#waiting.copyWithin(start + 1, start, start + this.numAges - 1);
      this.#waiting[start] = 0;
    }
  }

  /** Computes `worth` anew from what was counted, and lets old counts fade. */
  estimate(): void {
    const prior = this.#pooledHazards();
    const hazards = new Float64Array(this.numAges);
    for (let klass = 0; klass < this.numClasses; klass++) {
      for (let age = 0; age < this.numAges; age++) {
        hazards[age] = Math.min(1, this.#hazard(klass * this.numAges + age, prior[age] as number));
      }
      for (let age = 0; age < this.numAges; age++) {
        this.#worth[klass * this.numAges + age] = bestReuseRate(hazards, age);
      }
    }
    for (let place = 0; place < this.#reuses.length; place++) {
      this.#reuses[place] = (this.#reuses[place] as number) * DECAY;
      this.#exposure[place] = (this.#exposure[place] as number) * DECAY;
    }
  }

  #add(array: Float64Array, place: number, amount: number): void {
    array[place] = (array[place] as number) + amount;
  }

  #hazard(place: number, prior: number): number {
    const reuses = this.#reuses[place] as number;
    return (reuses + PRIOR_EXPOSURE * prior) / ((this.#exposure[place] as number) + PRIOR_EXPOSURE);
  }

  /** Reuse hazard by age over all classes: what a class is thought to be like until it has statistics of its own. */
  #pooledHazards(): Float64Array {
    const total = sum(this.#reuses, 0, 1) / (sum(this.#exposure, 0, 1) + 1);
    const hazards = new Float64Array(this.numAges);
    let prior = total;
    for (let age = 0; age < this.numAges; age++) {
      const reuses = sum(this.#reuses, age, this.numAges);
      const exposure = sum(this.#exposure, age, this.numAges);
      prior = (reuses + PRIOR_EXPOSURE * prior * PRIOR_FALL) / (exposure + PRIOR_EXPOSURE);
      hazards[age] = prior;
    }
    return hazards;
  }
}

function sum(array: Float64Array, start: number, stride: number): number {
  let total = 0;
  for (let place = start; place < array.length; place += stride) total += array[place] as number;
  return total;
}

/**
 * Gittins index of waiting for one reuse: the largest ratio of the chance of a reuse before a deadline to the expected
 * time until the reuse or the deadline, over all deadlines.
 */
function bestReuseRate(hazards: Float64Array, age: number): number {
  let best = 0;
  let unused = 1;
  let chance = 0;
  let time = 0;
  for (let later = age; later < hazards.length; later++) {
    const hazard = hazards[later] as number;
    time += unused;
    chance += unused * hazard;
    unused *= 1 - hazard;
    best = Math.max(best, chance / time);
  }
  return best;
}
