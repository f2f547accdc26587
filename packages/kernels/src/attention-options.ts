import type { KvDtype } from "@kv/config";
import type { MemoryRegion } from "@kv/device-memory";
import { type AttentionDtype, type HostVariant, InvalidArgumentError, type RegionDescription } from "@kv/native";
import { DtypeError, ShapeError } from "./errors.ts";
import type { KvView } from "./kv-view.ts";

const MAX_QUERY_HEADS = 65_536;

/** What the models' kinds of attention differ in. */
export interface AttentionOptions {
  /** Factor of the scores before softmax: 1 / sqrt(key width) unless given. */
  readonly softmaxScale?: number;
  /** A token sees the last so many tokens only, itself included. */
  readonly windowTokens?: number;
  /** Scores become softCap * tanh(score / softCap), after `softmaxScale`. */
  readonly softCap?: number;
  /** [numQueryHeads] fp32: a logit of each head that takes its share of the softmax and adds no value. */
  readonly sinks?: MemoryRegion;
  /** Type of `query`: the view's unless given. */
  readonly queryDtype?: AttentionDtype;
  /** Type of `output`: that of `query` unless given. */
  readonly outputDtype?: AttentionDtype;
  /**
   * The bits of a sequence's result are the same whatever else is in the batch. Only decode on a GPU asks: there it cuts
   * sequences by their own length instead of sharing the whole batch out evenly, which can take a tenth longer.
   */
  readonly batchInvariant?: boolean;
  /** On the host: how to compute, for tests and benchmarks. The fastest way that the processor has unless given. */
  readonly hostVariant?: HostVariant;
}

/** The numbers of the options, with what stands for those that are not given. */
export interface AttentionNumbers {
  readonly softmaxScale: number;
  readonly windowTokens: number;
  readonly softCap: number;
  readonly cacheDtype: AttentionDtype;
  readonly queryDtype: AttentionDtype;
  readonly outputDtype: AttentionDtype;
  readonly batchInvariant: boolean;
  readonly hostVariant: HostVariant;
}

/** @throws DtypeError when the view holds elements that attention cannot compute on */
export function attentionNumbers(view: KvView, options: AttentionOptions): AttentionNumbers {
  const cacheDtype = requireAttentionDtype("view", view.dtype);
  const queryDtype = requireAttentionDtype("query", options.queryDtype ?? cacheDtype);
  return {
    softmaxScale: options.softmaxScale ?? 1 / Math.sqrt(view.keyDim),
    windowTokens: options.windowTokens ?? 0,
    softCap: options.softCap ?? 0,
    cacheDtype,
    queryDtype,
    outputDtype: requireAttentionDtype("output", options.outputDtype ?? queryDtype),
    batchInvariant: options.batchInvariant ?? false,
    hostVariant: options.hostVariant ?? "fastest",
  };
}

/** @throws InvalidArgumentError unless the value is a whole number from 1 to `most` */
export function requireCount(argument: string, value: number, most: number): void {
  if (Number.isInteger(value) && value >= 1 && value <= most) return;
  throw new InvalidArgumentError(`${argument}: must be a whole number from 1 to ${most}, not ${value}`, argument);
}

/** @throws InvalidArgumentError unless the query heads share the view's KV heads evenly */
export function requireQueryHeads(view: KvView, numQueryHeads: number): void {
  requireCount("numQueryHeads", numQueryHeads, MAX_QUERY_HEADS);
  if (numQueryHeads % view.numKvHeads === 0) return;
  const message = `numQueryHeads: must be a multiple of the view's ${view.numKvHeads} KV heads, not ${numQueryHeads}`;
  throw new InvalidArgumentError(message, "numQueryHeads");
}

/** How many rows of so many bytes are in a region. @throws ShapeError unless they are whole ones */
export function requireRows(argument: string, region: MemoryRegion, bytesPerRow: number): number {
  const numRows = region.sizeBytes / bytesPerRow;
  if (Number.isInteger(numRows)) return numRows;
  throw new ShapeError(argument, `whole rows of ${bytesPerRow} bytes`, `${region.sizeBytes} bytes`);
}

/** What the addon is told of a region of so many elements. @throws ShapeError if it has another size */
export function describeElements(
  argument: string,
  region: MemoryRegion,
  numElements: number,
  bytesPerElement = 4,
): RegionDescription {
  const wantedBytes = numElements * bytesPerElement;
  if (region.sizeBytes !== wantedBytes)
    throw new ShapeError(argument, `${wantedBytes} bytes`, `${region.sizeBytes} bytes`);
  return { memory: region.handle, offsetBytes: region.offsetBytes };
}

/** As `describeElements`; null for what was not given. */
export function describeOptional(
  argument: string,
  region: MemoryRegion | undefined,
  numElements: number,
): RegionDescription | null {
  return region === undefined ? null : describeElements(argument, region, numElements);
}

/** @throws DtypeError, naming `argument`, for a type that attention cannot compute on */
export function requireAttentionDtype(argument: string, dtype: KvDtype): AttentionDtype {
  if (dtype === "fp32" || dtype === "fp16" || dtype === "bf16") return dtype;
  throw new DtypeError(argument, "fp32, fp16 or bf16", dtype);
}
