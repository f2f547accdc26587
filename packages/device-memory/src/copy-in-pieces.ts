import { setImmediate as turnOfEventLoop } from "node:timers/promises";
import { CaptureError, InvalidArgumentError, native } from "@kv/native";
import type { HostBytes, MemoryRegion } from "./memory-region.ts";
import { PIECE_BYTES } from "./staging-buffers.ts";
import type { Stream } from "./stream.ts";

// JavaScript's own memory is touched on its thread only, piece by piece: it may be moved or resized at any await, so no
// address of it is ever left with the device.

/** Less than a millisecond's worth on a GPU. */
const DIRECT_PIECE_BYTES = 16 * 1024 * 1024;
/** What a stream reads without waiting for what it read before. */
const UPLOAD_PIECE_BYTES = 8 * 1024 * 1024;

interface Piece {
  readonly start: number;
  readonly length: number;
}

/**
 * By uploads that return once the bytes are read, each when the one before is done, so that the JavaScript thread never
 * waits for the device.
 */
export async function copyFromHostInPieces(to: MemoryRegion, source: HostBytes, stream: Stream): Promise<void> {
  // What comes after the first await would be done behind the capture.
  if (stream.isCapturing) throw new CaptureError("copyFromHost");
  if (!stream.isIdle) await stream.synchronize();
  for (let start = 0; start < to.sizeBytes; start += UPLOAD_PIECE_BYTES) {
    const piece = { start, length: Math.min(UPLOAD_PIECE_BYTES, to.sizeBytes - start) };
    native().upload(to.handle, to.offsetBytes + start, bytesOf(source, piece), stream.handle);
    await stream.synchronize();
  }
}

/**
 * An idle stream writes straight to JavaScript's memory, several times as fast as JavaScript can copy there; one turn of
 * the event loop at a time. Behind other work a piece goes through a staging buffer, so that the JavaScript thread never
 * waits for that work.
 */
export async function copyToHostInPieces(from: MemoryRegion, target: HostBytes, stream: Stream): Promise<void> {
  if (stream.isCapturing) throw new CaptureError("copyToHost");
  let start = 0;
  while (start < from.sizeBytes) {
    if (start > 0) await turnOfEventLoop();
    const { isIdle } = stream;
    const piece = { start, length: Math.min(isIdle ? DIRECT_PIECE_BYTES : PIECE_BYTES, from.sizeBytes - start) };
    if (isIdle) {
      native().downloadSync(from.handle, from.offsetBytes + start, bytesOf(target, piece), stream.handle);
    } else {
      await copyToHostStaged(from, target, piece, stream);
    }
    start += piece.length;
  }
}

async function copyToHostStaged(from: MemoryRegion, target: HostBytes, piece: Piece, stream: Stream): Promise<void> {
  const { staging } = from.device;
  const buffer = await staging.acquire();
  try {
    native().copy(buffer.handle, 0, from.handle, from.offsetBytes + piece.start, piece.length, stream.handle);
    await stream.synchronize();
    bytesOf(target, piece).set(buffer.bytes.subarray(0, piece.length));
  } finally {
    staging.release(buffer);
  }
}

function bytesOf(host: HostBytes, piece: Piece): Uint8Array {
  if (piece.start + piece.length > host.byteLength) {
    throw new InvalidArgumentError("array: was resized or transferred while it was being copied", "array");
  }
  return new Uint8Array(host.buffer, host.byteOffset + piece.start, piece.length);
}
