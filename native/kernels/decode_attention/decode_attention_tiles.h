#pragma once
#include "kernels/decode_attention/decode_attention_cuda.h"

namespace kv {

#ifndef KV_DECODE_RING_BYTES
#define KV_DECODE_RING_BYTES (24 * 1024)
#endif

/// Tokens that a warp multiplies at once: the rows of a product of the tensor cores.
constexpr int kDecodeTokens = 16;

/// The tiles of keys and values that a warp has under way, in shared memory. Rows of whole 128-byte pieces.
template <int kKeyWidth, int kValueWidth>
struct DecodeRing {
  static constexpr int kKeyRowBytes = (kKeyWidth + 63) / 64 * 128;
  static constexpr int kValueRowBytes = (kValueWidth + 63) / 64 * 128;
  static constexpr int kKeyBytes = kDecodeTokens * kKeyRowBytes;
  static constexpr int kStageBytes = kKeyBytes + kDecodeTokens * kValueRowBytes;
  static constexpr int kStages = KV_DECODE_RING_BYTES / kStageBytes < 3 ? 3 : KV_DECODE_RING_BYTES / kStageBytes;
  static constexpr int kBytes = kStages * kStageBytes;
  static constexpr int kSharedBytes = kDecodeWarps * kBytes;

  /// What a thread block takes of a multiprocessor's shared memory: with what lies outside the rings, and the system's
  /// own kibibyte.
  static constexpr int kWholeBytes = kSharedBytes + 4 * 1024;
  /// Of the 228 KiB of the GPUs with the fastest memory.
  static constexpr int kBlocksAtOnce = 228 * 1024 / kWholeBytes;
};

}  // namespace kv
