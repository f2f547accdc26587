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
 * written and read. Queued on `stream`.
 * @throws InvalidArgumentError for such pairs, or a block that the view does not have
 */
export function copyBlocks(
  view: KvView,
  pairs: readonly BlockPair[],
  stream: Stream = view.device.defaultStream,
): void {
  const numbers = new Int32Array(2 * pairs.length);
  pairs.forEach((pair, i) => {
    numbers[2 * i] = pair.from;
    numbers[2 * i + 1] = pair.to;
  });
  native().copyBlocks(view.handle, numbers, stream.handle);
}
