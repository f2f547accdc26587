import { InvalidConfigError } from "../errors.ts";
import { exactProduct } from "../exact.ts";
import { indexerKeyBytes, type KvFormat } from "../format.ts";
import { groupLayers, type LayerGroup } from "../layer-groups.ts";
import type { LayerShape } from "../layer-shape.ts";
import type { ModelShape } from "../model-shape.ts";
import { alignedPageBytes, PACKED_ENTRY_BYTES } from "./deepseek-v4.ts";
import type { VllmGroup, VllmLayout } from "./vllm-groups.ts";
import { inFlightTokens } from "./vllm-knobs.ts";
import type { LayoutKnobs, PagesPerRequest, VllmSpec } from "./vllm-specs.ts";

/** Tokens of a page of windows, and of pages of what the two compressors have not yet compressed: fixed by their kernels. */
const WINDOW_PAGE = 64;
const STATE_OF_4 = { page: 4, window: 8 };
const STATE_OF_128 = { page: 8, window: 128 };

/** The pages of the layers from `start` up to `end`, which share the block numbers of the whole model. */
export function compressedLayout(
  shape: ModelShape,
  format: KvFormat,
  knobs: LayoutKnobs,
  [start, end]: readonly [number, number] = [0, Number.POSITIVE_INFINITY],
): VllmLayout {
  checkKnobs(knobs);
  const specs = groupLayers(shape.layers).flatMap((group) => specsOf(group, format, knobs));
  const groups = groupsOf(specs);
  const isHere = (index: number): boolean => index >= start && index < end;
  const here = specs.map((spec) => ({ ...spec, indices: spec.indices.filter(isHere) }));
  const tuples = Math.max(0, ...groups.map(({ indices }) => indices.filter(isHere).length));
  const pages = new Set(here.filter(({ type, indices }) => type === "full" && indices.length > 0).map(pageBytesOf));
  const tupleBytes = [...pages].reduce((total, bytes) => total + bytes, 0);
  const blockBytes = exactProduct("a block", tupleBytes, tuples);
  return { specs: here, groups, blockBytes, blockTokens: knobs.blockSize };
}

/** The pages of windows and of states fill the space of a page of 256 tokens' entries, and of no other. */
function checkKnobs({ blockSize, disableHybridKvCacheManager, decodeContextParallelSize }: LayoutKnobs): void {
  if (blockSize !== 256) throw new InvalidConfigError("knobs.blockSize", blockSize, "256, for DeepSeek-V4");
  if (disableHybridKvCacheManager)
    throw new InvalidConfigError("knobs.disableHybridKvCacheManager", true, "false, for DeepSeek-V4");
  if (decodeContextParallelSize !== 1)
    throw new InvalidConfigError("sharding.context", decodeContextParallelSize, "1: windows are not split");
}

function pageBytesOf({ pageBytes }: VllmSpec): number {
  return pageBytes;
}

function specsOf(group: LayerGroup, format: KvFormat, knobs: LayoutKnobs): VllmSpec[] {
  const { layer, indices } = group;
  const windowTokens = "windowTokens" in layer ? layer.windowTokens : 0;
  const windowed = windowSpec(group, { page: WINDOW_PAGE, window: windowTokens }, entryPage(WINDOW_PAGE), knobs);
  if (layer.kind !== "compressed") return [windowed];
  const pagesPerRequest: PagesPerRequest = (page, maxModelLen) => Math.ceil(maxModelLen / page);
  const full = { layer, indices, type: "full", tokensPerPage: knobs.blockSize, pagesPerRequest };
  const entries = { ...full, pageBytes: entryPage(knobs.blockSize / layer.tokensPerEntry) };
  // A page of state is padded to the next page of the entries or keys that it shares memory with.
  if (layer.tokensPerEntry === 128) return [windowed, entries, windowSpec(group, STATE_OF_128, entryPage(64), knobs)];
  const keys = { ...full, pageBytes: alignedPageBytes((knobs.blockSize / 4) * keyBytes(layer, format)) };
  const states = [entryPage(64), keys.pageBytes].map((bytes) => windowSpec(group, STATE_OF_4, bytes, knobs));
  return [windowed, entries, keys, ...states];
}

function entryPage(entries: number): number {
  return alignedPageBytes(entries * PACKED_ENTRY_BYTES);
}

function keyBytes(layer: LayerShape, format: KvFormat): number {
  return indexerKeyBytes(format.indexer, layer.kind === "compressed" ? layer.indexerKeyDim : 0);
}

interface Window {
  readonly page: number;
  readonly window: number;
}

function windowSpec(
  { layer, indices }: LayerGroup,
  { page, window }: Window,
  pageBytes: number,
  knobs: LayoutKnobs,
): VllmSpec {
  const reach = window - 1 + inFlightTokens(knobs);
  const pagesPerRequest: PagesPerRequest = (_page, maxModelLen) => Math.ceil(Math.min(reach, maxModelLen) / page) + 1;
  return { layer, indices, type: `${page} of ${window}`, tokensPerPage: page, pageBytes, pagesPerRequest };
}

/** Caches of one reach are split into groups of so many layers that the least is padded. */
function groupsOf(specs: readonly VllmSpec[]): VllmGroup[] {
  const types = ["full", ...new Set(specs.map(({ type }) => type).filter((type) => type !== "full"))];
  const alike = types.map((type) => tuplesOf(specs.filter((spec) => spec.type === type)));
  const perGroup = leastPadded(alike.map(({ indices }) => indices.length));
  return alike.flatMap(({ indices, ...group }, i) => {
    const count = i === 0 ? 1 : Math.ceil(indices.length / perGroup);
    return Array.from({ length: count }, (_, part) => ({
      ...group,
      indices: indices.filter((_index, place) => place % count === part),
    }));
  });
}

/** Pages of different bytes stand side by side: of each there are at most as many as of the most numerous. */
function tuplesOf(specs: readonly VllmSpec[]): VllmGroup {
  const byPage = new Map<number, number[]>();
  for (const { pageBytes, indices } of specs) byPage.set(pageBytes, [...(byPage.get(pageBytes) ?? []), ...indices]);
  const indices = [...byPage.values()].reduce((most, each) => (each.length > most.length ? each : most), []);
  const [first] = specs;
  return {
    indices: indices.toSorted((left, right) => left - right),
    tokensPerPage: first?.tokensPerPage ?? 1,
    pagesPerRequest: first?.pagesPerRequest ?? (() => 0),
  };
}

/** The size of groups, at least the first count, to which the counts are rounded up with the least padding; the largest such. */
function leastPadded(counts: readonly number[]): number {
  const [first = 1] = counts;
  let best = { size: first, padding: Number.POSITIVE_INFINITY };
  for (let size = Math.max(1, first); size <= Math.max(...counts); size += 1) {
    const padding = counts.reduce((total, count) => total + ((size - (count % size)) % size), 0);
    if (padding <= best.padding) best = { size, padding };
  }
  return best.size;
}
