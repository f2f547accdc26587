#pragma once
#include "kernels/decode_attention/decode_attention_cuda.h"

namespace kv {

/// Tokens that a warp multiplies at once: the rows of a product of the tensor cores.
constexpr int kDecodeTokens = 16;

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
/// whole 128-byte pieces, and what the warps but the first hand to it at the end of an item.
template <int kKeyWidth, int kValueWidth>
struct DecodeMemory {
  static constexpr int kKeyRowBytes = (kKeyWidth + 63) / 64 * 128;
  static constexpr int kValueRowBytes = (kValueWidth + 63) / 64 * 128;
  static constexpr int kKeyBytes = kDecodeTokens * kKeyRowBytes;
  static constexpr int kStageBytes = kKeyBytes + kDecodeTokens * kValueRowBytes;
  static constexpr int kHandedBytes = (kDecodeWarps - 1) * kValueWidth * 32;

  /// Two where there is room for no more.
  static KV_DEVICE constexpr int stages(int compute_capability) {
    // Of narrow heads more thread blocks fit, which hide more of the work between the copies than a longer ring.
    constexpr int wanted = kStageBytes > 4096 ? 3 : 4;
    return kDecodeWarps * wanted * kStageBytes + kHandedBytes + kElsewhereBytes <= most_shared_bytes(compute_capability)
               ? wanted
               : 2;
  }
  static KV_DEVICE constexpr int shared_bytes(int compute_capability) {
    return kDecodeWarps * stages(compute_capability) * kStageBytes + kHandedBytes;
  }
  /// Thread blocks that share the 228 KiB of a multiprocessor with the fastest memory.
  static KV_DEVICE constexpr int blocks_at_once() {
    const int blocks = 228 * 1024 / (shared_bytes(90) + kElsewhereBytes + 1024);
    return blocks < 1 ? 1 : blocks;
  }

  /// At most, of the variables outside.
  static constexpr int kElsewhereBytes = 4608;
};

}  // namespace kv
