import { elementBytes } from "@kv/config";
import type { MemoryRegion, Stream } from "@kv/device-memory";
import { type AttentionDtype, native } from "@kv/native";
import { describeElements, describeOptional, requireCount, requireRows } from "./attention-options.ts";

/** Attention of the same queries over parts of their keys, to be made into attention over all of them. */
export interface MergeAttentionInput {
  /** [numParts, numRows, width] of `partDtype`: the parts' outputs. */
  readonly parts: MemoryRegion;
  /** [numParts, numRows] fp32: their log-sum-exps; a part of -Infinity saw nothing, and its output is not read. */
  readonly logSumExps: MemoryRegion;
  /** [numRows, width] of `outputDtype`; apart from what is read. */
  readonly output: MemoryRegion;
  /** [numRows] fp32: takes the log-sum-exp over all parts. */
  readonly logSumExp?: MemoryRegion;
  readonly numParts: number;
  /** Elements of one row: the value width. */
  readonly width: number;
  readonly partDtype: AttentionDtype;
  /** That of the parts unless given. */
  readonly outputDtype?: AttentionDtype;
}

const MAX_COUNT = 2 ** 31 - 1;

/**
 * Merges partial results of attention by their log-sum-exps: the mean of the outputs, weighted by exp(log-sum-exp). A
 * sink must be in one part only. Queued on `stream`; the inputs may be disposed at once.
 * @throws ShapeError, InvalidArgumentError: the argument that does not fit, by its name
 */
export function mergeAttention(input: MergeAttentionInput, stream: Stream = input.output.device.defaultStream): void {
  const { numParts, width, partDtype, outputDtype = partDtype } = input;
  requireCount("numParts", numParts, MAX_COUNT);
  requireCount("width", width, MAX_COUNT);
  const numRows = requireRows("logSumExps", input.logSumExps, 4 * numParts);
  const numElements = numRows * width;
  native().mergeAttention(
    {
      numParts,
      numRows,
      width,
      partDtype,
      outputDtype,
      parts: describeElements("parts", input.parts, numParts * numElements, elementBytes(partDtype)),
      logSumExps: describeElements("logSumExps", input.logSumExps, numParts * numRows),
      output: describeElements("output", input.output, numElements, elementBytes(outputDtype)),
      logSumExp: describeOptional("logSumExp", input.logSumExp, numRows),
    },
    stream.handle,
  );
}
