#pragma once
#include "kernels/attention_math.h"
#include "kernels/prefill_attention/prefill_attention_tiles.h"

// For every type, width and alignment on every GPU; no tensor cores. One warp per query row of a head, four rows per
// thread block. Of 32 keys at a time each lane takes one; of their values each lane takes every 32nd column.

namespace kv {

constexpr int kPlainColumns = 8;  // of a lane: the widest values have 256

/// The logit of one key, or -infinity.
__device__ inline float plain_logit(const PrefillAttentionParams& p, const std::byte* query, const std::byte* key) {
  float dot = 0;
  for (int32_t i = 0; i < p.key_dim; ++i) {
    dot = fmaf(load_element(p.query_dtype, query, i), load_element(p.cache_dtype, key, i), dot);
  }
  const float logit = dot * p.softmax_scale;
  return p.soft_cap == 0 ? logit : p.soft_cap * tanhf(logit / p.soft_cap);
}

__device__ __noinline__ void plain_row(const PrefillAttentionParams& p, const QueryTile& tile, int32_t row) {
  constexpr float kHidden = -INFINITY;
  const KvView& view = p.view;
  const int32_t lane = threadIdx.x % 32;
  const int32_t kv_head = tile.head / p.query_heads_per_kv_head();
  const int32_t position = tile.first_position + row;
  const int64_t head_row = p.row_of(tile.first_row + row, tile.head);
  const std::byte* query = p.query + head_row * p.key_dim * element_bytes(p.query_dtype);
  const int32_t begin = max(p.window_tokens == 0 ? 0 : position - p.window_tokens + 1, 0);
  const int32_t end = min(position + 1, tile.length);
  float maximum = kHidden;
  float sum = 0;
  float outputs[kPlainColumns] = {};
  // From a multiple of 32 on, so that a row's sums are the same however it came to be computed.
  for (int32_t first = begin / 32 * 32; first < end; first += 32) {
    const int32_t mine = first + lane;
    const int64_t block = mine >= begin && mine < end ? p.block_of(tile.sequence, mine) : -1;
    const int32_t token = mine % view.tokens_per_block;
    const float logit = block < 0 ? kHidden : plain_logit(p, query, view.keys.head(block, token, kv_head));
    const float highest = fmaxf(maximum, warp_max(logit));
    if (highest == kHidden) continue;
    const float rescale = expf(maximum - highest);
    const float weight = expf(logit - highest);
    maximum = highest;
    sum = sum * rescale + warp_sum(weight);
    for (float& output : outputs) output *= rescale;
    for (int32_t i = 0; i < 32; ++i) {
      const int64_t its_block = __shfl_sync(~0u, block, i);
      const int32_t its_token = __shfl_sync(~0u, token, i);
      const float its_weight = __shfl_sync(~0u, weight, i);
      if (its_block < 0) continue;
      const std::byte* value = view.values.head(its_block, its_token, kv_head);
#pragma unroll
      for (int32_t c = 0; c < kPlainColumns; ++c) {
        const int32_t column = 32 * c + lane;
        if (column < p.value_dim) outputs[c] = fmaf(its_weight, load_element(p.cache_dtype, value, column), outputs[c]);
      }
    }
  }
  const float sink = p.sinks == nullptr ? kHidden : p.sinks[tile.head];
  const float base = fmaxf(maximum, sink);
  const float factor = base == kHidden ? 0 : expf(maximum - base);
  const float denominator = base == kHidden ? 1 : sum * factor + expf(sink - base);
  std::byte* to = p.output + head_row * p.value_dim * element_bytes(p.output_dtype);
#pragma unroll
  for (int32_t c = 0; c < kPlainColumns; ++c) {
    const int32_t column = 32 * c + lane;
    if (column < p.value_dim) store_element(p.output_dtype, to, column, outputs[c] * (factor / denominator));
  }
  if (p.log_sum_exp != nullptr && lane == 0) p.log_sum_exp[head_row] = base + logf(denominator);
}

/// The whole of the tile that is the `index`th.
template <int kRows>
__device__ void plain_tile(const PrefillKernelParams& params, int32_t index) {
  const QueryTile tile = find_query_tile<kRows>(params, index);
  const int32_t num_warps = blockDim.x / 32;
  for (int32_t row = threadIdx.x / 32; row < tile.num_rows; row += num_warps) plain_row(params.attention, tile, row);
}

}  // namespace kv

extern "C" __global__ void prefill_attention_plain(const __grid_constant__ kv::PrefillKernelParams params) {
  kv::plain_tile<kv::kPlainRows>(params, static_cast<int32_t>(blockIdx.x));
}
