import { type CacheGroup, holdsTokens } from "./cache-group.ts";

/** Blocks of one size, and the groups that draw on them. */
export interface SharedSize {
  readonly bytesPerBlock: number;
  /** Numbers of groups. */
  readonly groups: readonly number[];
}

/**
 * Which groups can share blocks, and how large these are: the largest size of which a block holds whole layers of each
 * group and a whole number of blocks holds all of them, so that nothing is padded. Groups for which there is none, and
 * states, have blocks of their own.
 */
export function sharedSizes(groups: readonly CacheGroup[]): SharedSize[] {
  const sizes: SharedSize[] = [];
  groups.forEach((group, number) => {
    const at = holdsTokens(group.holds) ? sizes.findIndex((size) => common(groups, [...size.groups, number]) > 0) : -1;
    const members = [...(sizes[at]?.groups ?? []), number];
    const size = { bytesPerBlock: common(groups, members), groups: members };
    if (at < 0) sizes.push(size);
    else sizes[at] = size;
  });
  return sizes;
}

/** The largest common size of blocks, or 0. A group of its own has all its layers in a block. */
function common(groups: readonly CacheGroup[], members: readonly number[]): number {
  const [first, ...others] = members.map((number) => groups[number] as CacheGroup);
  if (first === undefined) return 0;
  if (others.length > 0 && !holdsTokens(first.holds)) return 0;
  for (let numLayers = first.layers.length; numLayers > 0; numLayers--) {
    const bytes = numLayers * first.layerBytes;
    if (first.layers.length % numLayers === 0 && others.every((other) => dividesInto(other, bytes))) return bytes;
  }
  return 0;
}

function dividesInto({ layers, layerBytes }: CacheGroup, bytesPerBlock: number): boolean {
  return bytesPerBlock % layerBytes === 0 && layers.length % (bytesPerBlock / layerBytes) === 0;
}
