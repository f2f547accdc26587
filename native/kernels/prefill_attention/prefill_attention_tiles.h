#pragma once
#include "kernels/prefill_attention/prefill_attention.h"

namespace kv {

constexpr int kPlainRows = 4;
constexpr int kMmaRows = 64;
constexpr int kWarpGroupRows = 128;

/// What every prefill kernel is launched with. The thread blocks take the tiles of one section of heads after those of
/// another, so that the keys and values of a section stay in the L2 cache while all its tiles read them.
struct PrefillKernelParams {
  PrefillAttentionParams attention;
  int32_t num_tiles;          // at least as many as the batch has
  int32_t heads_per_section;  // divides num_query_heads
};

/// Query rows of one head of one sequence, for one thread block.
struct QueryTile {
  int32_t sequence;
  int32_t head;
  int32_t num_rows;        // 0: nothing to do
  int32_t first_row;       // among the query tokens of the batch
  int32_t first_position;  // of the first row; negative rows see nothing
  int32_t length;          // of the sequence

  /// The end of what its last row sees.
  KV_DEVICE int32_t key_end() const {
    const int32_t end = first_position + num_rows;
    return end < 0 ? 0 : end < length ? end : length;
  }

  /// The first position that its first row sees.
  KV_DEVICE int32_t key_begin(int32_t window_tokens) const {
    const int32_t begin = first_position - window_tokens + 1;
    return window_tokens == 0 || begin < 0 ? 0 : begin;
  }
};

#ifdef __CUDACC__

/// The tile that is the `index`th; the same in every lane of a warp. A sequence's last tiles come first: they are the
/// longest.
template <int kRows>
__device__ QueryTile find_query_tile(const PrefillKernelParams& params, int32_t index) {
  const PrefillAttentionParams& p = params.attention;
  const int32_t lane = threadIdx.x % 32;
  const int32_t items_per_section = params.num_tiles * params.heads_per_section;
  const int32_t item = index % items_per_section;
  const int32_t section = index / items_per_section;
  const int32_t head = section * params.heads_per_section + item % params.heads_per_section;
  int32_t tile = item / params.heads_per_section;
  for (int32_t first = 0; first < p.batch; first += 32) {
    const int32_t sequence = min(first + lane, p.batch - 1);
    const int32_t begin = p.query_begin(sequence);
    const int32_t query_length = p.query_length_of(sequence);
    const int32_t tiles = first + lane < p.batch ? (query_length + kRows - 1) / kRows : 0;
    int32_t tiles_to_here = tiles;
    for (int32_t distance = 1; distance < 32; distance *= 2) {
      const int32_t before = __shfl_up_sync(~0u, tiles_to_here, distance);
      if (lane >= distance) tiles_to_here += before;
    }
    const uint32_t after = __ballot_sync(~0u, tile < tiles_to_here);
    if (after == 0) {
      tile -= __shfl_sync(~0u, tiles_to_here, 31);
      continue;
    }
    const int32_t row = (tiles_to_here - 1 - tile) * kRows;
    const int32_t length = static_cast<int32_t>(p.length_of(sequence));
    const int32_t owner = __ffs(after) - 1;
    QueryTile found{sequence, head, min(query_length - row, kRows), begin + row, length - query_length + row, length};
    found.sequence = __shfl_sync(~0u, found.sequence, owner);
    found.num_rows = __shfl_sync(~0u, found.num_rows, owner);
    found.first_row = __shfl_sync(~0u, found.first_row, owner);
    found.first_position = __shfl_sync(~0u, found.first_position, owner);
    found.length = __shfl_sync(~0u, found.length, owner);
    return found;
  }
  return {0, head, 0, 0, 0, 0};
}

#endif

}  // namespace kv
