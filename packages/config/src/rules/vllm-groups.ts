import { InvalidConfigError } from "../errors.ts";
import { exactProduct } from "../exact.ts";
import type { PagesPerRequest, VllmSpec } from "./vllm-specs.ts";

/** Caches that share one table of pages, by the model layers they belong to. */
export interface VllmGroup {
  readonly indices: readonly number[];
  readonly tokensPerPage: number;
  readonly pagesPerRequest: PagesPerRequest;
}

/** How vLLM lays out the pages of one rank. */
export interface VllmLayout {
  readonly specs: readonly VllmSpec[];
  readonly groups: readonly VllmGroup[];
  /** Bytes that one page number stands for: a page in every layer of the widest group. */
  readonly blockBytes: number;
  /** Tokens of a block, where they are not those of the smallest page. */
  readonly blockTokens?: number;
}

/** The groups that vLLM makes of the caches of one rank, all pipeline stages together. */
export function vllmLayout(specs: readonly VllmSpec[]): VllmLayout {
  const types = new Set(specs.map(({ type }) => type));
  return types.size <= 1 ? oneGroup(specs) : equalPages(specs.map(unifiedWith(specs)));
}

/** Caches that need the same pages go into one group; their pages may differ in bytes. */
function oneGroup(specs: readonly VllmSpec[]): VllmLayout {
  const blockBytes = specs.reduce((bytes, { pageBytes, indices }) => bytes + pageBytes * indices.length, 0);
  return { specs, groups: specs.length === 0 ? [] : [groupOf(specs, indicesOf(specs))], blockBytes };
}

/** All groups draw from one pool, so all pages must have the same bytes: smaller ones take more tokens. */
function unifiedWith(specs: readonly VllmSpec[]): (spec: VllmSpec) => VllmSpec {
  const largest = Math.max(...specs.map(({ pageBytes }) => pageBytes));
  return (spec) => {
    if (largest % spec.pageBytes !== 0) {
      const allowed = `pages of one size: ${spec.pageBytes} bytes of layer ${spec.layer.index} do not divide ${largest}`;
      throw new InvalidConfigError("knobs.blockSize", spec.tokensPerPage, allowed);
    }
    return { ...spec, tokensPerPage: spec.tokensPerPage * (largest / spec.pageBytes), pageBytes: largest };
  };
}

/**
 * Caches of one type are split into groups of equal size: the size of the smallest type, or of the largest if that is
 * less than half as large again.
 */
function equalPages(specs: readonly VllmSpec[]): VllmLayout {
  const types = alikeTogether(specs).map((alike) => ({ alike, indices: indicesOf(alike) }));
  const counts = types.map(({ indices }) => indices.length);
  const [fewest, most] = [Math.min(...counts), Math.max(...counts)];
  const perGroup = most < fewest * 1.5 ? most : fewest;
  const groups = types.flatMap(({ alike, indices }) => {
    const numGroups = Math.ceil(indices.length / perGroup);
    // Every `numGroups`-th layer, so that each pipeline stage holds a part of each group.
    return Array.from({ length: numGroups }, (_, i) =>
      groupOf(
        alike,
        indices.filter((_index, place) => place % numGroups === i),
      ),
    );
  });
  return { specs, groups, blockBytes: exactProduct("a block", specs[0]?.pageBytes ?? 0, perGroup) };
}

function alikeTogether(specs: readonly VllmSpec[]): VllmSpec[][] {
  const byType = new Map<string, VllmSpec[]>();
  for (const spec of specs) {
    const key = `${spec.type} ${spec.tokensPerPage}`;
    const alike = byType.get(key);
    if (alike === undefined) byType.set(key, [spec]);
    else alike.push(spec);
  }
  return [...byType.values()];
}

function indicesOf(specs: readonly VllmSpec[]): readonly number[] {
  const [first] = specs;
  if (first !== undefined && specs.length === 1) return first.indices;
  return specs.flatMap(({ indices }) => indices).sort((left, right) => left - right);
}

function groupOf(alike: readonly VllmSpec[], indices: readonly number[]): VllmGroup {
  const [first] = alike;
  return {
    indices,
    tokensPerPage: first?.tokensPerPage ?? 1,
    pagesPerRequest: first?.pagesPerRequest ?? (() => 0),
  };
}

/** Pages of all groups for one request of `maxModelLen` tokens. */
export function pagesPerRequest({ groups }: VllmLayout, maxModelLen: number): number {
  return groups.reduce((pages, group) => pages + group.pagesPerRequest(group.tokensPerPage, maxModelLen), 0);
}

/** What one pipeline stage holds of a layout: the layers from `start` up to `end`. */
export function stageOf(whole: VllmLayout, start: number, end: number): VllmLayout {
  const isHere = (index: number): boolean => index >= start && index < end;
  const groups = whole.groups.map((group) => ({ ...group, indices: group.indices.filter(isHere) }));
  const specs = whole.specs.map((spec) => ({ ...spec, indices: spec.indices.filter(isHere) }));
  if (groups.length === 1) return oneGroup(specs.filter(({ indices }) => indices.length > 0));
  const widest = Math.max(0, ...groups.map(({ indices }) => indices.length));
  return { specs, groups, blockBytes: exactProduct("a block", specs[0]?.pageBytes ?? 0, widest) };
}

/** Tokens that a block stands for; those of a request where there are only states. */
export function blockTokensOf(layout: VllmLayout, maxModelLen: number): number {
  if (layout.blockTokens !== undefined) return layout.blockTokens;
  return leastPageTokens(layout, maxModelLen);
}

/** Tokens of the smallest page of any group. */
export function leastPageTokens({ groups }: VllmLayout, maxModelLen: number): number {
  const least = Math.min(...groups.map(({ tokensPerPage }) => tokensPerPage));
  return Number.isFinite(least) ? least : maxModelLen;
}
