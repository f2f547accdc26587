import { elementBytes } from "@kv/config";
import type { MemoryRegion, Stream } from "@kv/device-memory";
import { type DecodeAttentionDescription, native } from "@kv/native";
import {
  type AttentionOptions,
  attentionNumbers,
  describeElements,
  describeOptional,
  requireCount,
  requireQueryHeads,
  requireRows,
} from "./attention-options.ts";
import { checkAttention } from "./check-contents.ts";
import type { KvView } from "./kv-view.ts";

/** The most query tokens of a sequence that one call of decode attention takes. */
export const MAX_QUERY_LENGTH = 16;

/** Query tokens of a batch, where their keys and values are, and where the result goes. Memory of the view's device, or pinned. */
export interface DecodeAttentionInput extends AttentionOptions {
  /** [batch, queryLength, numQueryHeads, key width]: the last tokens of each sequence, appended before. */
  readonly query: MemoryRegion;
  /** [batch, queryLength, numQueryHeads, value width]; apart from everything that is read. */
  readonly output: MemoryRegion;
  /** A multiple of the view's KV heads; neighbouring query heads share one. */
  readonly numQueryHeads: number;
  /** Query tokens of each sequence, 1 to 16: 1 unless given. Query token i stands at position length - queryLength + i. */
  readonly queryLength?: number;
  /**
   * [batch] int32: tokens of each sequence, query tokens included; one past the room for it counts as that room. Or the
   * one length that all have. A sequence of length 0 gets zeros.
   */
  readonly sequenceLengths: MemoryRegion | number;
  /**
   * [batch, maxBlocks] int32: the blocks of each sequence in order. Tokens of a block that the view does not have, such
   * as -1, are seen by nobody. Without tables sequence i is block i.
   */
  readonly blockTables?: MemoryRegion;
  /** [numQueryHeads] fp32: slope * (position of the key - position of the query) is added to the logits. */
  readonly alibiSlopes?: MemoryRegion;
  /** [batch, queryLength] int32: with bit j set, the query token sees query token j. Causal unless given. */
  readonly queryMasks?: MemoryRegion;
  /** [batch, queryLength, numQueryHeads] fp32: takes the logarithm of the softmax's denominator, for `mergeAttention`. */
  readonly logSumExp?: MemoryRegion;
}

/**
 * Attention of the newest tokens of each sequence over its keys and values in the cache. Accumulates in fp32; the result
 * has the same bits in every run, and with `batchInvariant` also whatever else is in the batch. Queued on `stream`; the
 * inputs may be disposed at once.
 * @throws ShapeError, DtypeError, InvalidArgumentError: the argument that does not fit, by its name
 */
export function decodeAttention(
  view: KvView,
  input: DecodeAttentionInput,
  stream: Stream = view.device.defaultStream,
): void {
  const description = describeDecodeAttention(view, input);
  checkAttention(view, input, description, stream);
  native().decodeAttention(view.handle, description, stream.handle);
}

/** What the addon is told. @throws as `decodeAttention` */
export function describeDecodeAttention(view: KvView, input: DecodeAttentionInput): DecodeAttentionDescription {
  const { numQueryHeads, queryLength = 1, sequenceLengths, blockTables } = input;
  requireQueryHeads(view, numQueryHeads);
  requireCount("queryLength", queryLength, MAX_QUERY_LENGTH);
  const numbers = attentionNumbers(view, input);
  const rowsPerSequence = queryLength * numQueryHeads;
  const queryElementBytes = elementBytes(numbers.queryDtype);
  const batch = requireRows("query", input.query, rowsPerSequence * view.keyDim * queryElementBytes);
  const numRows = batch * rowsPerSequence;
  const maxBlocks = blockTables === undefined || batch === 0 ? 1 : requireRows("blockTables", blockTables, 4 * batch);
  return {
    ...numbers,
    batch,
    queryLength,
    numQueryHeads,
    maxBlocks,
    query: describeElements("query", input.query, numRows * view.keyDim, queryElementBytes),
    output: describeElements("output", input.output, numRows * view.valueDim, elementBytes(numbers.outputDtype)),
    logSumExp: describeOptional("logSumExp", input.logSumExp, numRows),
    sequenceLengths:
      typeof sequenceLengths === "number"
        ? sequenceLengths
        : describeElements("sequenceLengths", sequenceLengths, batch),
    blockTables: describeOptional("blockTables", blockTables, batch * maxBlocks),
    sinks: describeOptional("sinks", input.sinks, numQueryHeads),
    alibiSlopes: describeOptional("alibiSlopes", input.alibiSlopes, numQueryHeads),
    queryMasks: describeOptional("queryMasks", input.queryMasks, batch * queryLength),
  };
}
