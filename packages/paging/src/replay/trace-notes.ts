import type { Trace } from "./trace.ts";

/**
 * What is odd about a trace, a sentence each: prompts with more or fewer ids than they need, ids that do not follow the
 * same id each time and so do not stand for all tokens before them.
 */
export function traceNotes(trace: Trace): string[] {
  const lengths = trace.requests.filter(
    ({ promptTokens, prefixIds }) =>
      prefixIds !== undefined && prefixIds.length !== Math.ceil(promptTokens / trace.tokensPerId),
  ).length;
  const unchained = countUnchained(trace);
  const notes: string[] = [];
  if (lengths > 0) notes.push(`${lengths} requests have not one id for each ${trace.tokensPerId} tokens of the prompt`);
  if (unchained > 0) notes.push(`${unchained} ids come after different ids: they count as equal only after equal ones`);
  return notes;
}

function countUnchained({ requests }: Trace): number {
  const parents = new Map<number, number | undefined>();
  const unchained = new Set<number>();
  for (const { prefixIds = [] } of requests) {
    prefixIds.forEach((id, i) => {
      const parent = prefixIds[i - 1];
      if (!parents.has(id)) parents.set(id, parent);
      else if (parents.get(id) !== parent) unchained.add(id);
    });
  }
  return unchained.size;
}
