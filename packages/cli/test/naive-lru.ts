import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";

interface CachedBlock {
  lastRequest: number;
  depth: number;
  parent: number | undefined;
}

/**
 * Hit blocks of a Mooncake file by the definition alone: plain maps, a search over everything for each eviction. A block
 * goes only without a cached child, never one of the request itself; the least recent request first, its deepest block first.
 */
export function naiveLru(file: string, numBlocks: number, most: number = Number.POSITIVE_INFINITY): number {
  const bytes = readFileSync(file);
  const text = (bytes[0] === 0x1f ? gunzipSync(bytes) : bytes).toString();
  const prompts = text
    .trim()
    .split("\n")
    .slice(0, most)
    .map((line) => (JSON.parse(line) as { hash_ids: number[] }).hash_ids);
  const cached = new Map<number, CachedBlock>();
  let hits = 0;
  prompts.forEach((ids, request) => {
    const firstMiss = ids.findIndex((id) => !cached.has(id));
    hits += firstMiss < 0 ? ids.length : firstMiss;
    const own = new Set(ids);
    ids.forEach((id, depth) => {
      if (!cached.has(id) && cached.size === numBlocks) cached.delete(victim(cached, own));
      cached.set(id, { lastRequest: request, depth, parent: ids[depth - 1] });
    });
  });
  return hits;
}

function victim(cached: ReadonlyMap<number, CachedBlock>, own: ReadonlySet<number>): number {
  const parents = new Set([...cached.values()].map(({ parent }) => parent));
  const leaves = [...cached].filter(([id]) => !own.has(id) && !parents.has(id));
  leaves.sort(([, a], [, b]) => a.lastRequest - b.lastRequest || b.depth - a.depth);
  return (leaves[0] as [number, CachedBlock])[0];
}
