#pragma once
#include "kernels/prefill_attention/copy_engine.h"
#include "kernels/prefill_attention/prefill_attention_tiles.h"

namespace kv {

constexpr int kWarpGroupThreads = 384;
constexpr int kWarpGroupAlignment = 1024;  // of what the 128-byte swizzle permutes

/// Tokens in a tile: as many as two stages of keys and values leave room for.
KV_DEVICE constexpr int warp_group_tokens(int key_width) {
  return key_width <= 192 ? 128 : 64;
}

/// What the warp-group kernels are launched with.
struct WarpGroupKernelParams {
  PrefillKernelParams kernel;
  TensorMap query_map;   // [num_query_tokens, num_query_heads, key_dim], boxes of 128 x 1 x 64
  TensorMap key_map;     // [num_blocks, num_kv_heads, tokens_per_block, key_dim], boxes of 1 x 1 x piece_tokens x 64
  TensorMap value_map;   // likewise
  int32_t* num_drawn;    // items that thread blocks have taken; zero at the start
  int32_t num_items;     // tiles of all heads
  int32_t piece_tokens;  // a power of two from 8 on, that divides both a tile and a block or holds all of a tile
};

/// Query rows of one head, and the tiles of keys that they see.
struct alignas(16) WarpGroupItem {
  QueryTile tile;
  int32_t first_tile;
  int32_t num_tiles;  // 0: there is no more to do
};

/// A thread block's shared memory, in bytes from its aligned beginning.
template <int kKeyWidth, int kValueWidth, int kTokens>
struct WarpGroupMemory {
  static constexpr int kQueryStages = kKeyWidth <= 128 ? 2 : 1;
  static constexpr int kQueryBytes = kWarpGroupRows * kKeyWidth * 2;
  static constexpr int kKeyBytes = kTokens * kKeyWidth * 2;
  static constexpr int kValueBytes = kTokens * kValueWidth * 2;
  static constexpr int kKeys = kQueryStages * kQueryBytes;
  static constexpr int kValues = kKeys + 2 * kKeyBytes;
  static constexpr int kItems = kValues + 2 * kValueBytes;
  static constexpr int kBarriers = kItems + 2 * static_cast<int>(sizeof(WarpGroupItem));
  static constexpr int kAbsent = kBarriers + 8 * 18;
  static constexpr int kBytes = kAbsent + 8 + kWarpGroupAlignment;
};

}  // namespace kv
