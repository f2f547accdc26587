import { type ModelPagedConfig, pagedLayout } from "@kv/cache";
import { type KvDtype, type ModelShape, sizeOf } from "@kv/config";
import type { BlockManagerOptions } from "@kv/paging";
import { type FoundModel, findModel, withPath } from "../models/find-model.ts";
import type { ReplayRequest } from "./replay-request.ts";

/** The pool that a replay runs with, as the allocator takes it, and what it takes in memory. */
export type PoolPlan = Pick<
  BlockManagerOptions,
  "numBlocks" | "tokensPerBlock" | "bytesPerBlock" | "moreSizes" | "groups"
> & { readonly poolBytes: number };

/** A model whose cache is replayed. */
export interface ReplayModel {
  readonly name: string;
  readonly shape: ModelShape;
  /** Every layer keeps every token: then blocks are all alike, and a trace's ids are all that counts. */
  readonly isUniform: boolean;
}

/** @throws as `findModel` */
export async function findReplayModel(name: string): Promise<ReplayModel> {
  const { shape }: FoundModel = await findModel(name);
  const isUniform = shape.layers.every(({ kind }) => ["full", "latent", "shared", "none"].includes(kind));
  return { name, shape, isUniform };
}

/** What a replay does on a device without a model: small enough for any machine, with two layers to tell apart. */
export const DEFAULT_SHAPE: ModelShape = {
  modelType: "replay",
  layers: [0, 1].map((index) => ({ kind: "full", index, numKvHeads: 1, keyDim: 8, valueDim: 8, indexerKeyDim: 0 })),
  maxContextTokens: null,
  dtype: null,
  stateDtype: null,
  assumptions: [],
};

/** Bytes of one block of a model whose blocks are all alike. */
export function bytesPerBlock(shape: ModelShape, tokensPerBlock: number, dtype: KvDtype): number {
  return sizeOf(shape, { tokens: tokensPerBlock, tokensPerBlock, format: dtype }).totalBytes;
}

type LayeredPoolOptions = Pick<ReplayRequest, "sequences" | "tokensPerBlock" | "dtype" | "checkpointTokens">;

/**
 * The pool of a model with several kinds of layers: what so many sequences take that have `numBlocks` blocks of tokens
 * together, by the rule `exact`.
 */
export function layeredPool(
  { name, shape }: ReplayModel,
  numBlocks: number,
  { sequences, tokensPerBlock, dtype: format, checkpointTokens }: LayeredPoolOptions,
): PoolPlan & { readonly config: ModelPagedConfig } {
  const tokens = Math.max(1, Math.floor(numBlocks / sequences)) * tokensPerBlock;
  const config = { shape, tokens, sequences, tokensPerBlock, format, checkpointTokens };
  try {
    const { buffers, groupSpecs: groups, sizeBytes } = pagedLayout(config);
    const [first, ...moreSizes] = buffers;
    if (first === undefined) throw new Error("a layout without buffers");
    return { ...first, moreSizes, groups: [...groups], tokensPerBlock, poolBytes: sizeBytes, config };
  } catch (error) {
    throw withPath(name, error);
  }
}
