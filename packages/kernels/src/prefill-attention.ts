import { elementBytes } from "@kv/config";
import type { MemoryRegion, Stream } from "@kv/device-memory";
import { native, type PrefillAttentionDescription } from "@kv/native";
import {
  type AttentionOptions,
  attentionNumbers,
  describeElements,
  describeOptional,
  requireQueryHeads,
  requireRows,
} from "./attention-options.ts";
import { checkAttention } from "./check-contents.ts";
import type { KvView } from "./kv-view.ts";

/** Prompts of a batch, one after another, where their keys and values are, and where the result goes. */
export interface PrefillAttentionInput extends AttentionOptions {
  /** [numQueryTokens, numQueryHeads, key width]: the last tokens of each sequence, appended before. */
  readonly query: MemoryRegion;
  /** [numQueryTokens, numQueryHeads, value width]; apart from everything that is read. */
  readonly output: MemoryRegion;
  /** A multiple of the view's KV heads; neighbouring query heads share one. */
  readonly numQueryHeads: number;
  /**
   * [batch + 1] int32, from 0 and not decreasing: where each sequence's query tokens start, and the end of the last
   * one's. Rows of query tokens past that end are not written.
   */
  readonly queryOffsets: MemoryRegion;
  /** [batch] int32: tokens of each sequence: those cached before, and its query tokens. */
  readonly sequenceLengths: MemoryRegion;
  /**
   * [batch, maxBlocks] int32: the blocks of each sequence in order. Tokens of a block that the view does not have, such
   * as -1, are seen by nobody. Without tables sequence i is block i.
   */
  readonly blockTables?: MemoryRegion;
  /** [numQueryTokens, numQueryHeads] fp32: takes the logarithm of the softmax's denominator, for `mergeAttention`. */
  readonly logSumExp?: MemoryRegion;
}

/**
 * Causal attention of many new tokens over their sequence's keys and values in the cache, those before them and their
 * own. Accumulates in fp32; a sequence's result has the same bits in every run and whatever else is in the batch. Queued
 * on `stream`; the inputs may be disposed at once.
 * @throws ShapeError, DtypeError, InvalidArgumentError: the argument that does not fit, by its name
 */
export function prefillAttention(
  view: KvView,
  input: PrefillAttentionInput,
  stream: Stream = view.device.defaultStream,
): void {
  const description = describePrefillAttention(view, input);
  checkAttention(view, input, description, stream);
  native().prefillAttention(view.handle, description, stream.handle);
}

/** What the addon is told. @throws as `prefillAttention` */
export function describePrefillAttention(view: KvView, input: PrefillAttentionInput): PrefillAttentionDescription {
  const { numQueryHeads, blockTables } = input;
  requireQueryHeads(view, numQueryHeads);
  const numbers = attentionNumbers(view, input);
  const queryElementBytes = elementBytes(numbers.queryDtype);
  const numQueryTokens = requireRows("query", input.query, numQueryHeads * view.keyDim * queryElementBytes);
  const numRows = numQueryTokens * numQueryHeads;
  const batch = requireRows("sequenceLengths", input.sequenceLengths, 4);
  const maxBlocks = blockTables === undefined || batch === 0 ? 1 : requireRows("blockTables", blockTables, 4 * batch);
  return {
    ...numbers,
    batch,
    numQueryTokens,
    numQueryHeads,
    maxBlocks,
    query: describeElements("query", input.query, numRows * view.keyDim, queryElementBytes),
    output: describeElements("output", input.output, numRows * view.valueDim, elementBytes(numbers.outputDtype)),
    logSumExp: describeOptional("logSumExp", input.logSumExp, numRows),
    queryOffsets: describeElements("queryOffsets", input.queryOffsets, batch + 1),
    sequenceLengths: describeElements("sequenceLengths", input.sequenceLengths, batch),
    blockTables: describeOptional("blockTables", blockTables, batch * maxBlocks),
    sinks: describeOptional("sinks", input.sinks, numQueryHeads),
  };
}
