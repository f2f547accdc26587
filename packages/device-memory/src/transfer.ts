import { InvalidArgumentError } from "@kv/native";
import type { MemoryRegion } from "./memory-region.ts";
import { MemorySlice } from "./memory-slice.ts";
import { PIECE_BYTES } from "./staging-buffers.ts";

/**
 * Copies between any two regions of equal size, of whatever devices: queued directly where the devices are of one kind,
 * otherwise piece by piece through pinned memory. Resolves when the bytes are there.
 */
export async function transfer(to: MemoryRegion, from: MemoryRegion): Promise<void> {
  if (to.sizeBytes !== from.sizeBytes) {
    throw new InvalidArgumentError(`from: has ${from.sizeBytes} bytes, the target has ${to.sizeBytes}`, "from");
  }
  if (to.device.kind === from.device.kind) {
    to.copyFrom(from);
    return to.device.defaultStream.synchronize();
  }
  const buffer = new Uint8Array(Math.min(PIECE_BYTES, to.sizeBytes));
  for (let start = 0; start < to.sizeBytes; start += PIECE_BYTES) {
    const piece = buffer.subarray(0, Math.min(PIECE_BYTES, to.sizeBytes - start));
    await new MemorySlice(from, start, piece.byteLength).copyToHost(piece);
    await new MemorySlice(to, start, piece.byteLength).copyFromHost(piece);
  }
}
