import { NONE } from "./block-id.ts";
import { firstNeededBlock, firstNeededPosition, isEssential, type LayerGroup } from "./layer-group.ts";
import { addBlock, type Pool } from "./pool.ts";
import type { PartialChild } from "./prefix-index.ts";

/** The longest cached prefix of some tokens that every layer group still has. */
export interface PrefixMatch {
  /** Node of each whole block of tokens along the path; valid up to `numSpans`. Reused by the next match. */
  readonly nodes: Int32Array;
  /** Whole blocks of tokens that are cached in every group. */
  readonly numSpans: number;
  /** Where the prefix goes on into the middle of a block. */
  readonly partial: PartialChild | undefined;
}

/**
 * Looks up the longest cached prefix of `tokens[0..maxTokens)` under a root. Changes nothing. With `intoBlocks` also a
 * part of one more block.
 */
export function matchPrefix(
  pool: Pool,
  root: number,
  tokens: Int32Array,
  maxTokens: number,
  intoBlocks: boolean,
): PrefixMatch {
  const size = pool.tokensPerBlock;
  const limit = Math.floor(maxTokens / size);
  if (pool.path.length < limit) pool.path = new Int32Array(2 * limit);
  const depth = walk(pool, root, tokens, limit);
  const onlyFull = !pool.hasWindows && pool.stateUnits.length === 0;
  const numSpans = onlyFull ? depth : longestInAllGroups(pool, depth);
  const last = depth === 0 ? root : (pool.path[depth - 1] as number);
  const mayGoOn = intoBlocks && numSpans === depth && pool.stateUnits.length === 0;
  const found = mayGoOn ? pool.index.partialChild(last, tokens, depth * size, maxTokens) : undefined;
  const partial = found !== undefined && hasAllUnits(pool, found.node) ? found : undefined;
  return { nodes: pool.path, numSpans, partial };
}

function walk(pool: Pool, root: number, tokens: Int32Array, limit: number): number {
  const { index, tokensPerBlock, path } = pool;
  let node = root;
  for (let span = 0; span < limit; span++) {
    node = index.child(node, tokens, span * tokensPerBlock);
    if (node < 0) return span;
    path[span] = node;
  }
  return limit;
}

/** The largest number of leading spans after which every group has what the next token would read. */
function longestInAllGroups(pool: Pool, depth: number): number {
  const groups = pool.groups.filter((group) => !isEssential(group));
  const runs = groups.map(() => 0);
  let longest = 0;
  for (let span = 0; span < depth; span++) {
    const node = pool.path[span] as number;
    groups.forEach((group, g) => {
      runs[g] = hasGroup(pool, node, group) ? (runs[g] as number) + 1 : 0;
    });
    if (groups.every((group, g) => (runs[g] as number) >= runNeeded(pool, group, span + 1))) longest = span + 1;
  }
  return longest;
}

/** Leading-to-last spans that a group must have without a gap for a prefix of `numSpans`; at least the last. */
function runNeeded(pool: Pool, group: LayerGroup, numSpans: number): number {
  if (group.kind === "state") return 1;
  const first = Math.floor(firstNeededPosition(group, numSpans * pool.tokensPerBlock) / pool.tokensPerBlock);
  return Math.max(1, numSpans - first);
}

function hasGroup(pool: Pool, node: number, group: LayerGroup): boolean {
  for (let unit = group.firstUnit; unit < group.firstUnit + group.blocksPerSpan; unit++) {
    if (pool.index.blockOf(node, unit) === NONE) return false;
  }
  return true;
}

function hasAllUnits(pool: Pool, node: number): boolean {
  return pool.groups.every((group) => hasGroup(pool, node, group));
}

/** Counts the blocks of the match that nobody holds now: taking it makes them no longer evictable. */
export function countCachedInMatch(pool: Pool, match: PrefixMatch): void {
  for (const unit of pool.tokenUnits) {
    for (let span = firstTaken(pool, unit, match.numSpans); span < match.numSpans; span++) {
      const block = pool.index.blockOf(match.nodes[span] as number, unit);
      if (pool.allocator.references[block] === 0) addBlock(pool.demand.taken, pool, block);
    }
  }
}

/** The first span of a match whose block a sequence takes for a unit. */
export function firstTaken(pool: Pool, unit: number, numSpans: number): number {
  const group = pool.groupOfUnit[unit] as LayerGroup;
  return firstNeededBlock(group, numSpans * pool.tokensPerBlock, pool.tokensPerBlock);
}
