#pragma once
#include "kernels/decode_attention/decode_attention_cuda.h"

namespace kv {

/// Shared memory that a thread block can have on a GPU, 90 for one of 9.0.
KV_DEVICE constexpr int most_shared_bytes(int compute_capability) {
  switch (compute_capability) {
    case 80:
    case 87:
      return 163 * 1024;
    case 90:
    case 100:
    case 103:
      return 227 * 1024;
    default:
      return 99 * 1024;
  }
}

/// The shared memory of a thread block: for each warp the tiles of keys and values that it has under way, in rows of
/// whole 128-byte pieces.
template <int kKeyWidth, int kValueWidth>
struct DecodeMemory {
  static constexpr int kKeyRowBytes = (kKeyWidth + 63) / 64 * 128;
  static constexpr int kValueRowBytes = (kValueWidth + 63) / 64 * 128;
  /// Tokens that a warp takes at once: of narrow heads twice the rows of a product of the tensor cores.
  static constexpr int kTokens = kKeyRowBytes + kValueRowBytes > 256 ? 16 : 32;
  static constexpr int kKeyBytes = kTokens * kKeyRowBytes;
  static constexpr int kStageBytes = kKeyBytes + kTokens * kValueRowBytes;

  /// Three, or two where there is room for no more.
  static KV_DEVICE constexpr int stages(int compute_capability) {
    const bool has_room = kDecodeWarps * 3 * kStageBytes + kElsewhereBytes <= most_shared_bytes(compute_capability);
    return has_room ? 3 : 2;
  }
  static KV_DEVICE constexpr int shared_bytes(int compute_capability) {
    return kDecodeWarps * stages(compute_capability) * kStageBytes;
  }
  /// Thread blocks that share the 228 KiB of a multiprocessor with the fastest memory.
  static KV_DEVICE constexpr int blocks_at_once() {
    const int blocks = 228 * 1024 / (shared_bytes(90) + kElsewhereBytes + 1024);
    return blocks < 1 ? 1 : blocks;
  }

  /// At most, of the variables outside.
  static constexpr int kElsewhereBytes = 4864;
};

}  // namespace kv
