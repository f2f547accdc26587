import { checkInteger, checkOneOf } from "./check.ts";
import { InvalidOptionError } from "./errors.ts";
import type { SizeClass } from "./size-class.ts";

/**
 * Layers that keep the same tokens and whose keys and values stand in the same blocks.
 *
 * Groups whose blocks are of one size share these: what one gives back another takes. Choose the groups so that their
 * blocks come out equal, say with `usedBytesPerBlock` how much of a block a group fills, or give them a size of their own.
 */
export type LayerGroupSpec = LayerGroupBase &
  (
    | {
        /** Every token. `latent` differs in what a block holds, not in which blocks are kept. */
        kind: "full" | "latent";
      }
    | {
        /** The last `windowTokens` tokens, the current one included. */
        kind: "sliding";
        windowTokens: number;
      }
    | {
        /** The tokens of the current chunk of `chunkTokens`. */
        kind: "chunked";
        chunkTokens: number;
      }
    | {
        /** A state of fixed size per sequence, overwritten in place. */
        kind: "state";
        /**
         * Keep a copy of the state every so many tokens, a multiple of `tokensPerBlock`: only there can a prefix be reused.
         * 0, the default, keeps none.
         */
        checkpointTokens?: number;
      }
  );

/** What groups of every kind have. */
export interface LayerGroupBase {
  /** For messages and reports; unique in the pool. */
  name: string;
  /** Blocks of the pool that `tokensPerBlock` tokens, or one state, take. Default 1. */
  blocksPerSpan?: number;
  /** Bytes of a block that the group fills. Default: all. */
  usedBytesPerBlock?: number;
  /** The size of its blocks: 0, the default, or one of `moreSizes` by its number from 1 on. */
  sizeClass?: number;
}

/** A group with its defaults and its place: it has the units `[firstUnit, firstUnit + blocksPerSpan)`. */
export interface LayerGroup {
  readonly name: string;
  readonly kind: LayerGroupSpec["kind"];
  readonly firstUnit: number;
  readonly blocksPerSpan: number;
  readonly usedBytesPerBlock: number;
  readonly sizeClass: number;
  /** Tokens of the window or chunk, or between checkpoints; 0 where the kind has none. */
  readonly spanTokens: number;
}

const KINDS = ["full", "latent", "sliding", "chunked", "state"] as const;

/** Checks specifications and gives each group its units. @throws InvalidOptionError */
export function layerGroups(
  specs: readonly LayerGroupSpec[],
  tokensPerBlock: number,
  sizes: readonly SizeClass[],
): LayerGroup[] {
  if (specs.length === 0) throw new InvalidOptionError("groups", "[]", "one layer group or more");
  const names = new Set(specs.map((spec) => spec.name));
  if (names.size < specs.length) throw new InvalidOptionError("groups", [...names].join(), "named differently");
  let firstUnit = 0;
  return specs.map((spec) => {
    const group = layerGroup(spec, firstUnit, tokensPerBlock, sizes);
    firstUnit += group.blocksPerSpan;
    return group;
  });
}

function layerGroup(
  spec: LayerGroupSpec,
  firstUnit: number,
  tokensPerBlock: number,
  sizes: readonly SizeClass[],
): LayerGroup {
  const sizeClass = checkInteger(`sizeClass of group ${spec.name}`, spec.sizeClass ?? 0, 0, sizes.length - 1);
  const { bytesPerBlock } = sizes[sizeClass] as SizeClass;
  const { name, blocksPerSpan = 1, usedBytesPerBlock = bytesPerBlock } = spec;
  return {
    name,
    kind: checkOneOf(`kind of group ${name}`, spec.kind, KINDS),
    firstUnit,
    blocksPerSpan: checkInteger(`blocksPerSpan of group ${name}`, blocksPerSpan, 1, 255 - firstUnit),
    usedBytesPerBlock: checkInteger(`usedBytesPerBlock of group ${name}`, usedBytesPerBlock, 0, bytesPerBlock),
    sizeClass,
    spanTokens: spanTokens(spec, tokensPerBlock),
  };
}

function spanTokens(spec: LayerGroupSpec, tokensPerBlock: number): number {
  if (spec.kind === "sliding") return checkInteger(`windowTokens of group ${spec.name}`, spec.windowTokens, 1);
  if (spec.kind === "chunked") return checkInteger(`chunkTokens of group ${spec.name}`, spec.chunkTokens, 1);
  if (spec.kind !== "state") return 0;
  const every = checkInteger(`checkpointTokens of group ${spec.name}`, spec.checkpointTokens ?? 0, 0);
  if (every % tokensPerBlock === 0) return every;
  throw new InvalidOptionError(`checkpointTokens of group ${spec.name}`, every, `a multiple of ${tokensPerBlock}`);
}

/** Whether a lost block of the group makes its prefix and all that continue it useless. */
export function isEssential(group: LayerGroup): boolean {
  return group.kind === "full" || group.kind === "latent";
}

/** First position that the token after `length` tokens still reads in a group: what lies before may be given back. */
export function firstNeededPosition(group: LayerGroup, length: number): number {
  if (group.kind === "sliding") return Math.max(0, length - group.spanTokens + 1);
  if (group.kind === "chunked") return length - (length % group.spanTokens);
  return 0;
}

/**
 * First block that a sequence of `length` tokens keeps in a group. The one with the last token is always kept: the
 * sequence is tied to the prefix index by it.
 */
export function firstNeededBlock(group: LayerGroup, length: number, tokensPerBlock: number): number {
  const needed = Math.floor(firstNeededPosition(group, length) / tokensPerBlock);
  return length === 0 ? 0 : Math.min(needed, Math.floor((length - 1) / tokensPerBlock));
}
