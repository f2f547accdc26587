import type { Trace } from "../src/replay/index.ts";

/**
 * Leaf-first LRU by its definition and by nothing else: plain maps, a search over everything for each eviction. A request's
 * blocks are its ids in order; the hit is the longest leading run that is cached; then all are stored and most recent.
 */
export function lruHits(trace: Trace, numBlocks: number): number {
  const cached = new Map<number, { request: number; depth: number; parent: number | undefined }>();
  let hits = 0;
  trace.requests.forEach(({ prefixIds = [] }, request) => {
    const ids = prefixIds.slice(0, numBlocks); // of a prompt that is larger than the pool, the beginning
    const firstMiss = ids.findIndex((id) => !cached.has(id));
    hits += firstMiss < 0 ? ids.length : firstMiss;
    const own = new Set(ids);
    for (const id of ids) {
      if (!cached.has(id) && cached.size === numBlocks) cached.delete(victim(cached, own));
      cached.set(id, { request, depth: ids.indexOf(id), parent: ids[ids.indexOf(id) - 1] });
    }
  });
  return hits;
}

function victim(
  cached: Map<number, { request: number; depth: number; parent: number | undefined }>,
  own: Set<number>,
): number {
  const parents = new Set([...cached.values()].map(({ parent }) => parent));
  let best: { id: number; request: number; depth: number } | undefined;
  for (const [id, { request, depth }] of cached) {
    if (own.has(id) || parents.has(id)) continue;
    const isOlder = best === undefined || request < best.request || (request === best.request && depth > best.depth);
    if (isOlder) best = { id, request, depth };
  }
  return (best as { id: number }).id;
}
