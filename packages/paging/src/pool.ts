import type { BlockAllocator } from "./block-allocator.ts";
import type { BlockWork } from "./block-work.ts";
import { OutOfBlocksError, QuotaError } from "./errors.ts";
import type { LayerGroup } from "./layer-group.ts";
import type { NamespaceTable } from "./namespace-table.ts";
import type { PrefixIndex } from "./prefix-index.ts";
import type { TokenKeys } from "./token-keys.ts";

/** What the sequences of one pool share. Made by `BlockManager`; its parts know nothing of sequences. */
export interface Pool {
  readonly tokensPerBlock: number;
  readonly bytesPerBlock: number;
  readonly groups: readonly LayerGroup[];
  /** The group that each unit belongs to. */
  readonly groupOfUnit: readonly LayerGroup[];
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
  /** Room for the nodes of one match, grown as needed. */
  path: Int32Array;
  /** Room for one token on its way to `appendTokens`. */
  readonly oneToken: Int32Array;
}

/**
 * Makes sure that `wanted` blocks can be allocated for a namespace. `returned` blocks will be given back first; of the
 * cached ones `taken` will be held by then.
 *
 * @throws OutOfBlocksError, QuotaError
 */
export function requireBlocks(pool: Pool, namespace: number, wanted: number, returned = 0, taken = 0): void {
  const { allocator, namespaces } = pool;
  const evictable = allocator.numCached - taken + returned;
  if (wanted > allocator.numFree + evictable) {
    throw new OutOfBlocksError(wanted, allocator.numFree, evictable, allocator.numPinned, allocator.numBlocks);
  }
  const maxUsed = namespaces.quota(namespace)?.maxUsedBlocks;
  const used = namespaces.used[namespace] as number;
  if (maxUsed !== undefined && used + wanted + taken - returned > maxUsed) {
    throw new QuotaError(namespaces.label(namespace), wanted + taken, used, maxUsed);
  }
}
