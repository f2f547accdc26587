import { elementBytes, type KvDtype } from "@kv/config";
import type { MemoryRegion } from "@kv/device-memory";
import { type AttentionDtype, InvalidArgumentError, type RegionDescription, type RotaryStyle } from "@kv/native";
import { describeElements, requireAttentionDtype, requireRows } from "./attention-options.ts";
import type { KvView } from "./kv-view.ts";

export type { RotaryStyle };

/**
 * How far each pair of elements turns at a position: by position times its inverse frequency, in radians; or as the
 * position's row of a table says, with which any scheme can be had. Memory of the view's device, or pinned.
 */
export type RotaryAngles =
  | {
      /** [width / 2] fp32 */
      readonly inverseFrequencies: MemoryRegion;
      /** Factor of cosines and sines, as YaRN has one: 1 unless given. */
      readonly scaling?: number;
    }
  | {
      /** [numPositions, 2, width / 2] fp32: of each position the cosines, then the sines. */
      readonly cosinesAndSines: MemoryRegion;
    };

/**
 * A model's rotary embedding. Pair i of a head, (a, b), becomes (a cos - b sin, b cos + a sin): elements i and
 * i + width / 2 are one where it is "half-split", as in Llama and Qwen; 2 i and 2 i + 1 where "interleaved".
 */
export type RotaryEmbedding = RotaryAngles & {
  readonly style: RotaryStyle;
  /** Elements of a head that are rotated, from the first on; even. All of the key's unless given. */
  readonly width?: number;
};

/** What to rotate beside the keys, and where the tokens stand in their sequences. */
export interface RotaryInput {
  readonly embedding: RotaryEmbedding;
  /**
   * [numTokens] int32: the position of each token; one that is negative, or that the table has not, leaves its token out:
   * neither written nor rotated. Or the position of the first token, when the others follow it.
   */
  readonly positions: MemoryRegion | number;
  /** [numTokens, numQueryHeads, key width]: rotated too, also of tokens that are skipped. */
  readonly query?: MemoryRegion;
  /** As `query`: where the rotated query goes. In the place of `query` unless given. */
  readonly rotatedQuery?: MemoryRegion;
  /** Type of `query`: the view's unless given. */
  readonly queryDtype?: AttentionDtype;
}

/** What the addon is told of a rotary embedding and what it rotates. */
export interface RotaryDescription {
  readonly cacheDtype: AttentionDtype;
  readonly queryDtype: AttentionDtype;
  readonly style: RotaryStyle;
  readonly width: number;
  readonly scaling: number;
  readonly numQueryHeads: number;
  readonly numPositions: number;
  readonly positions: RegionDescription | number;
  readonly inverseFrequencies: RegionDescription | null;
  readonly cosinesAndSines: RegionDescription | null;
  readonly query: RegionDescription | null;
  readonly rotatedQuery: RegionDescription | null;
}

/** @throws ShapeError, DtypeError, InvalidArgumentError: the argument that does not fit, by its name */
export function describeRotary(view: KvView, numTokens: number, input: RotaryInput): RotaryDescription {
  const { embedding, positions } = input;
  const cacheDtype = requireAttentionDtype("view", view.dtype);
  const width = requireWidth(embedding.width ?? view.keyDim, view.keyDim);
  return {
    cacheDtype,
    style: embedding.style,
    width,
    positions: typeof positions === "number" ? positions : describeElements("positions", positions, numTokens),
    ...describeAngles(embedding, width),
    ...describeQuery(view, numTokens, input, input.queryDtype ?? cacheDtype),
  };
}

function describeAngles(
  angles: RotaryAngles,
  width: number,
): Pick<RotaryDescription, "scaling" | "numPositions" | "inverseFrequencies" | "cosinesAndSines"> {
  if ("inverseFrequencies" in angles) {
    const inverseFrequencies = describeElements("inverseFrequencies", angles.inverseFrequencies, width / 2);
    return { scaling: angles.scaling ?? 1, numPositions: 0, inverseFrequencies, cosinesAndSines: null };
  }
  const numPositions = requireRows("cosinesAndSines", angles.cosinesAndSines, 4 * width);
  const cosinesAndSines = describeElements("cosinesAndSines", angles.cosinesAndSines, numPositions * width);
  return { scaling: 1, numPositions, inverseFrequencies: null, cosinesAndSines };
}

function describeQuery(
  view: KvView,
  numTokens: number,
  { query, rotatedQuery = query }: RotaryInput,
  dtype: KvDtype,
): Pick<RotaryDescription, "numQueryHeads" | "queryDtype" | "query" | "rotatedQuery"> {
  const queryDtype = requireAttentionDtype("query", dtype);
  if (query === undefined || rotatedQuery === undefined) {
    if (rotatedQuery !== undefined) {
      throw new InvalidArgumentError("rotatedQuery: must come with a query", "rotatedQuery");
    }
    return { numQueryHeads: 0, queryDtype, query: null, rotatedQuery: null };
  }
  const bytes = elementBytes(queryDtype);
  const numQueryHeads = numTokens === 0 ? 0 : requireRows("query", query, numTokens * view.keyDim * bytes);
  const numElements = numTokens * numQueryHeads * view.keyDim;
  return {
    numQueryHeads,
    queryDtype,
    query: describeElements("query", query, numElements, bytes),
    rotatedQuery: describeElements("rotatedQuery", rotatedQuery, numElements, bytes),
  };
}

function requireWidth(width: number, keyDim: number): number {
  if (Number.isInteger(width) && width >= 2 && width % 2 === 0 && width <= keyDim) return width;
  throw new InvalidArgumentError(`width: must be an even number from 2 to ${keyDim}, not ${width}`, "width");
}
