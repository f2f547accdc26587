import type { BlockAllocator } from "./block-allocator.ts";
import type { BlockDemand } from "./block-demand.ts";
import type { BlockWork } from "./block-work.ts";
import type { LayerGroup } from "./layer-group.ts";
import type { NamespaceTable } from "./namespace-table.ts";
import type { PrefixIndex } from "./prefix-index.ts";
import type { TokenKeys } from "./token-keys.ts";

/** What the sequences of one pool share. Made by `BlockManager`; its parts know nothing of sequences. */
export interface Pool {
  readonly tokensPerBlock: number;
  readonly groups: readonly LayerGroup[];
  /** The group that each unit belongs to. */
  readonly groupOfUnit: readonly LayerGroup[];
  /** The size of each unit's blocks. */
  readonly sizeOfUnit: Uint8Array;
  /** Units whose blocks hold tokens: each further `tokensPerBlock` tokens take one block for each. */
  readonly tokenUnits: readonly number[];
  /** Units whose blocks hold running states: a sequence has one block for each. */
  readonly stateUnits: readonly number[];
  /** Whether a group gives back blocks that its window or chunk has left. */
  readonly hasWindows: boolean;
  readonly index: PrefixIndex;
  readonly allocator: BlockAllocator;
  readonly namespaces: NamespaceTable;
  readonly work: BlockWork;
  readonly keys: TokenKeys;
  readonly demand: BlockDemand;
  /** Room for the nodes of one match, grown as needed. */
  path: Int32Array;
  /** Room for one token on its way to `appendTokens`. */
  readonly oneToken: Int32Array;
}

/** Counts one more block of its size for each of `units`, `times` over. */
export function addUnits(counts: Int32Array, pool: Pool, units: readonly number[], times: number): void {
  for (let i = 0; i < units.length; i++) {
    const size = pool.sizeOfUnit[units[i] as number] as number;
    counts[size] = (counts[size] as number) + times;
  }
}

/** Counts one more block of the size of `block`. */
export function addBlock(counts: Int32Array, pool: Pool, block: number): void {
  const size = pool.allocator.sizeOf(block);
  counts[size] = (counts[size] as number) + 1;
}

/** Makes sure that what `pool.demand` counts can be had for a namespace. @throws OutOfBlocksError, QuotaError */
export function requireDemand(pool: Pool, namespace: number): void {
  pool.demand.require(pool.allocator, pool.namespaces, namespace);
}

/** Bytes of a block. */
export function bytesOf({ allocator }: Pool, block: number): number {
  return (allocator.sizes[allocator.sizeOf(block)] as (typeof allocator.sizes)[number]).bytesPerBlock;
}
