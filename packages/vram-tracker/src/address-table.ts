interface Node<V> {
  readonly address: bigint;
  readonly value: V;
  next: Node<V> | undefined;
}

const MIN_BUCKETS = 16;
const address64 = new BigUint64Array(1);
const halves = new Uint32Array(address64.buffer);

/**
 * Values by 64-bit address, in no particular order.
 *
 * Not a `Map`: V8 leaves a deleted entry in its chain until the map is rebuilt, and a pool hands the same address out
 * again and again. Beside 100,000 other entries, one set and delete of the same address took 130 µs.
 */
export class AddressTable<V> {
  #buckets: (Node<V> | undefined)[] = new Array(MIN_BUCKETS).fill(undefined);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(address: bigint): V | undefined {
    let node = this.#buckets[this.#bucketOf(address)];
    while (node !== undefined && node.address !== address) node = node.next;
    return node?.value;
  }

  /** Adds a value at an address that has none. */
  add(address: bigint, value: V): void {
    if (this.#size === this.#buckets.length) this.#resize(this.#buckets.length * 2);
    const bucket = this.#bucketOf(address);
    this.#buckets[bucket] = { address, value, next: this.#buckets[bucket] };
    this.#size += 1;
  }

  /** Removes the value of an address and gives it; undefined when there is none. */
  take(address: bigint): V | undefined {
    const bucket = this.#bucketOf(address);
    let before: Node<V> | undefined;
    let node = this.#buckets[bucket];
    while (node !== undefined && node.address !== address) {
      before = node;
      node = node.next;
    }
    if (node === undefined) return undefined;
    if (before === undefined) this.#buckets[bucket] = node.next;
    else before.next = node.next;
    this.#size -= 1;
    if (this.#size * 8 < this.#buckets.length) this.#resize(this.#buckets.length / 2);
    return node.value;
  }

  *values(): Generator<V> {
    for (const first of this.#buckets) {
      for (let node = first; node !== undefined; node = node.next) yield node.value;
    }
  }

  #bucketOf(address: bigint): number {
    return hash(address) & (this.#buckets.length - 1);
  }

  #resize(numBuckets: number): void {
    if (numBuckets < MIN_BUCKETS) return;
    const old = this.#buckets;
    this.#buckets = new Array(numBuckets).fill(undefined);
    for (const first of old) {
      let node = first;
      while (node !== undefined) {
        const next: Node<V> | undefined = node.next;
        const bucket = this.#bucketOf(node.address);
        node.next = this.#buckets[bucket];
        this.#buckets[bucket] = node;
        node = next;
      }
    }
  }
}

/** MurmurHash3's finaliser: addresses differ in few bits, far from the low ones that choose the bucket. */
function hash(address: bigint): number {
  address64[0] = address;
  let mixed = (halves[0] as number) ^ Math.imul(halves[1] as number, 0x9e3779b1);
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}
