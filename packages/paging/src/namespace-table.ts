import type { EvictionPolicy } from "./eviction-policy.ts";
import { type Namespace, namespaceKey, namespaceLabel } from "./namespace.ts";

/** Limits of one namespace, in blocks of the pool. */
export interface NamespaceQuota {
  /** Most blocks that its sequences and pins hold together. Reaching it is a `QuotaError`. */
  maxUsedBlocks?: number;
  /** Most blocks that it keeps cached; beyond, its own least recently used ones are evicted. */
  maxCachedBlocks?: number;
}

/**
 * The namespaces that exist now, as small numbers, with what each holds.
 *
 * A number is given to another namespace only when no block carries it any more, not even a free one: who owned a free
 * block last decides whether it is scrubbed.
 */
export class NamespaceTable {
  /** Blocks that sequences and pins hold, by namespace. */
  used: Int32Array = new Int32Array(16);
  /** Cached blocks that nobody holds, by namespace. */
  cached: Int32Array = new Int32Array(16);
  /** Blocks whose last owner it is, by namespace; free ones too. */
  owned: Int32Array = new Int32Array(16);
  /** Sequences and pins that are alive, by namespace. */
  users: Int32Array = new Int32Array(16);
  /** Orders of eviction, by size of the blocks, of a namespace whose cached blocks are capped. */
  readonly policies: (readonly EvictionPolicy[] | undefined)[] = [];
  readonly #numbers: Map<string, number> = new Map();
  readonly #keys: string[] = [];
  readonly #labels: string[] = [];
  readonly #quotas: (NamespaceQuota | undefined)[] = [];
  readonly #unused: number[] = [];

  /** The number of a namespace that exists, or -1. */
  find(namespace: Namespace | undefined): number {
    return this.#numbers.get(namespaceKey(namespace)) ?? -1;
  }

  /** The number of a namespace, which exists from now on. */
  open(namespace: Namespace | undefined): number {
    const key = namespaceKey(namespace);
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    const number = this.#unused.pop() ?? this.#keys.length;
    if (number >= this.used.length) this.#grow();
    this.#numbers.set(key, number);
    this.#keys[number] = key;
    this.#labels[number] = namespaceLabel(namespace);
    return number;
  }

  /** Forgets a namespace that nobody uses, no block carries and no quota names. */
  closeIfUnused(number: number): void {
    const carried = (this.owned[number] as number) + (this.users[number] as number);
    if (carried > 0 || this.#quotas[number] !== undefined) return;
    const key = this.#keys[number] as string;
    if (this.#numbers.delete(key)) this.#unused.push(number);
  }

  label(number: number): string {
    return this.#labels[number] ?? "";
  }

  quota(number: number): NamespaceQuota | undefined {
    return this.#quotas[number];
  }

  setQuota(number: number, quota: NamespaceQuota | undefined): void {
    this.#quotas[number] = quota;
  }

  /** Numbers of the namespaces that exist. */
  numbers(): Iterable<number> {
    return this.#numbers.values();
  }

  #grow(): void {
    const twice = (array: Int32Array): Int32Array => {
      const copy = new Int32Array(2 * array.length);
      copy.set(array);
      return copy;
    };
    this.used = twice(this.used);
    this.cached = twice(this.cached);
    this.owned = twice(this.owned);
    this.users = twice(this.users);
  }
}
