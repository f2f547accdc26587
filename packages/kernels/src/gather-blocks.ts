import { InvalidArgumentError, type MemoryRegion, type Stream } from "@kv/device-memory";
import { native } from "@kv/native";
import { ShapeError } from "./errors.ts";
import type { KvView } from "./kv-view.ts";

/** Bytes of one block in the buffer of `gatherBlocks`: its keys and values, without gaps. */
export function packedBlockBytes(view: KvView): number {
  return view.tokensPerBlock * (view.keyBytesPerToken + view.valueBytesPerToken);
}

/**
 * Copies blocks of a view one behind the other into a buffer, of the device or pinned: of each block the keys
 * [tokensPerBlock, numKvHeads, key width], then the values as well, whatever the order of axes in the view. A block may
 * come several times. Queued on `stream`; pinned memory takes a piece of up to 32 MiB, or one block, of the device's pool
 * on the way.
 * @throws ShapeError unless the buffer takes `packedBlockBytes(view)` for each block
 * @throws InvalidArgumentError for a block that the view does not have, or a buffer within the view
 * @throws OutOfMemoryError
 */
export function gatherBlocks(
  view: KvView,
  blocks: readonly number[] | Int32Array,
  to: MemoryRegion,
  stream: Stream = view.device.defaultStream,
): void {
  const numbers = blockNumbers(view, blocks, "to", to);
  native().gatherBlocks(view.handle, numbers, to.handle, to.offsetBytes, stream.handle);
}

/**
 * The way back: copies what `gatherBlocks` put into a buffer into blocks of a view, which may be others, or another view's
 * of the same shape. No block may come twice. Queued on `stream`. Errors as `gatherBlocks`.
 */
export function scatterBlocks(
  view: KvView,
  blocks: readonly number[] | Int32Array,
  from: MemoryRegion,
  stream: Stream = view.device.defaultStream,
): void {
  const numbers = blockNumbers(view, blocks, "from", from);
  native().scatterBlocks(view.handle, numbers, from.handle, from.offsetBytes, stream.handle);
}

function blockNumbers(
  view: KvView,
  blocks: readonly number[] | Int32Array,
  argument: string,
  { sizeBytes }: MemoryRegion,
): Int32Array {
  const wantedBytes = blocks.length * packedBlockBytes(view);
  if (sizeBytes !== wantedBytes) {
    throw new ShapeError(argument, `${blocks.length} blocks, ${wantedBytes} bytes`, `${sizeBytes} bytes`);
  }
  if (blocks instanceof Int32Array) return blocks;
  for (const block of blocks) {
    // Int32Array would make another number of it.
    if (block !== (block | 0)) throw new InvalidArgumentError(`blocks: ${block} is no number of a block`, "blocks");
  }
  return Int32Array.from(blocks);
}
