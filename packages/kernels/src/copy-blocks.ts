import type { Stream } from "@kv/device-memory";
import { native } from "@kv/native";
import type { KvView } from "./kv-view.ts";

/** A block to read and a block to overwrite. */
export interface BlockPair {
  readonly from: number;
  readonly to: number;
}

/**
 * Copies whole blocks, keys and values, within a view. The copies run in any order, so no block may be written twice, or
 * written and read. Many pairs are quickest as an Int32Array: from, to, from, to, … Queued on `stream`.
 * @throws InvalidArgumentError for such pairs, or a block that the view does not have
 */
export function copyBlocks(
  view: KvView,
  pairs: readonly BlockPair[] | Int32Array,
  stream: Stream = view.device.defaultStream,
): void {
  native().copyBlocks(view.handle, pairs instanceof Int32Array ? pairs : flattened(pairs), stream.handle);
}

function flattened(pairs: readonly BlockPair[]): Int32Array {
  const numbers = new Int32Array(2 * pairs.length);
  let i = 0;
  for (const { from, to } of pairs) {
    numbers[i++] = from;
    numbers[i++] = to;
  }
  return numbers;
}
