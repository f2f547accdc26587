import type { LayerGroupSpec } from "../layer-group.ts";

/**
 * The first position after another at which a group of states keeps a checkpoint; `Infinity` when none does. A state is
 * kept only where a part of a prompt ends.
 */
export function checkpointAfter(groups: readonly LayerGroupSpec[] = []): (position: number) => number {
  const distances = groups
    .map((group) => (group.kind === "state" ? (group.checkpointTokens ?? 0) : 0))
    .filter((tokens) => tokens > 0);
  return (position) => Math.min(...distances.map((tokens) => (Math.floor(position / tokens) + 1) * tokens));
}
