import type { Eviction } from "./eviction-log.ts";
import type { Pool } from "./pool.ts";

/** What a block is and why it is kept or gone. */
export interface BlockExplanation {
  readonly block: number;
  /** `held` by sequences, `pinned` by pins alone, `cached` and evictable, or `free`. */
  readonly state: "held" | "pinned" | "cached" | "free";
  /** One sentence for people. */
  readonly reason: string;
  /** The namespace that has it, or had it last; undefined before the first. */
  readonly namespace: string | undefined;
  readonly numSequences: number;
  readonly numPins: number;
  /** Prefix hits that have taken it since it was stored, up to 255. */
  readonly timesReused: number;
  /** Milliseconds since somebody last held it; 0 while somebody does. */
  readonly idleMs: number;
  /** Tokens up to the end of this block, or undefined if it holds no stored prefix. */
  readonly prefixTokens: number | undefined;
  /** Whether cached blocks go on from it: then it stays as long as they. */
  readonly hasCachedChildren: boolean;
  /** The last time it was taken out of the cache, if that is among the latest: up to 4,096 of them, fewer in a small pool. */
  readonly lastEviction: Eviction | undefined;
}

/** Why a block is kept, or why it is gone. Walks up to the beginning of its prefix. */
export function explainBlock(pool: Pool, block: number): BlockExplanation {
  const { allocator, index, namespaces } = pool;
  allocator.readClock();
  const state = stateOf(pool, block);
  const owner = allocator.owner[block] as number;
  const lastEviction = allocator.evictions.latest(block);
  return {
    block,
    state,
    reason: reasonOf(pool, block, state, lastEviction),
    namespace: owner < 0 ? undefined : namespaces.label(owner),
    numSequences: (allocator.references[block] as number) - (allocator.pins[block] as number),
    numPins: allocator.pins[block] as number,
    timesReused: allocator.timesReused[block] as number,
    idleMs: state === "cached" ? allocator.idleMs(block) : 0,
    prefixTokens: index.nodeOf(block) < 0 ? undefined : depth(pool, index.nodeOf(block)) * pool.tokensPerBlock,
    hasCachedChildren: index.nodeOf(block) >= 0 && index.firstChildOf(index.nodeOf(block)) >= 0,
    lastEviction,
  };
}

function stateOf({ allocator, index }: Pool, block: number): BlockExplanation["state"] {
  const references = allocator.references[block] as number;
  if (references > (allocator.pins[block] as number)) return "held";
  if (references > 0) return "pinned";
  return index.nodeOf(block) >= 0 ? "cached" : "free";
}

function reasonOf(pool: Pool, block: number, state: BlockExplanation["state"], eviction: Eviction | undefined): string {
  const { allocator } = pool;
  const pins = allocator.pins[block] as number;
  const sequences = (allocator.references[block] as number) - pins;
  if (state === "held") return `kept: ${count(sequences, "sequence")} ${sequences === 1 ? "uses" : "use"} it`;
  if (state === "pinned") return `kept: ${count(pins, "pin")} ${pins === 1 ? "holds" : "hold"} it`;
  if (state === "free") return eviction === undefined ? "free: it holds no stored prefix" : goneBecause(eviction);
  if (allocator.hasDependents(block)) return "kept: cached blocks go on from it, and they are evicted before it";
  return `kept until its turn comes, ${allocator.policyOf(block).explain(block)}`;
}

function goneBecause({ reason, namespace, forNamespace, idleMs, timesReused }: Eviction): string {
  const history = `unused for ${idleMs} ms, reused ${timesReused} times`;
  switch (reason) {
    case "space":
      return `evicted from namespace "${namespace}" to make room for "${forNamespace}" (${history})`;
    case "namespace-cap":
      return `evicted because namespace "${namespace}" reached its cap on cached blocks (${history})`;
    case "prefix-gone":
      return `evicted together with another layer group's block of the same tokens (${history})`;
    case "cleared":
      return `removed when the cache of namespace "${namespace}" was cleared`;
    case "overwritten":
      return "no longer cached: its sequence was truncated and wrote to it again";
  }
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

function depth({ index }: Pool, from: number): number {
  let spans = 0;
  for (let node = from; !index.isRoot(node); node = index.parentOf(node)) spans++;
  return spans;
}
