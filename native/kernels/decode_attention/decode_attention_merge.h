#pragma once
#include "kernels/decode_attention/decode_attention_chunks.h"

// Adds up the partial results of the chunks of each row, from the first to the last. Whichever thread block finishes
// the last of them does it. Loads go past the L1 caches, which do not see what other multiprocessors wrote.

namespace kv {

static_assert(kMostChunks <= 32, "a lane has the weight of one chunk");
constexpr int kMergeLoads = 16;  // of a lane under way

/// Adds up the chunks of a row; by one warp.
__device__ inline void merge_row(const DecodeKernelParams& params, int64_t row, int32_t query_head,
                                 int32_t num_chunks) {
  const DecodeAttentionParams& p = params.attention;
  const int32_t lane = threadIdx.x % 32;
  const int64_t first = params.partial_of(row, 0);
  const auto* partial_sums = reinterpret_cast<const float2*>(params.partial_sums) + first;
  const float2 mine = lane < num_chunks ? __ldcg(partial_sums + lane) : float2{kMinusInfinity, 0};
  const float greatest = warp_max(mine.x);
  const float weight = fast_exp2(mine.x - (greatest == kMinusInfinity ? 0 : greatest));
  const FinishedRow finished(p, query_head, greatest, warp_sum(weight * mine.y));
  const auto* outputs = reinterpret_cast<const float4*>(params.partial_outputs + first * params.partial_width());
  const int32_t words = params.partial_width() / 4;
#pragma unroll 1
  for (int32_t word = lane; word - lane < words; word += 32) {
    float sums[4] = {};
#pragma unroll 1
    for (int32_t from = 0; from < num_chunks; from += kMergeLoads) {
      float4 output[kMergeLoads];
#pragma unroll
      for (int i = 0; i < kMergeLoads; ++i) {
        output[i] = from + i < num_chunks && word < words ? __ldcg(outputs + (from + i) * words + word) : float4{};
      }
#pragma unroll
      for (int i = 0; i < kMergeLoads; ++i) {
        const float of_chunk = __shfl_sync(~0u, weight, (from + i) % 32);
        sums[0] = fmaf(of_chunk, output[i].x, sums[0]);
        sums[1] = fmaf(of_chunk, output[i].y, sums[1]);
        sums[2] = fmaf(of_chunk, output[i].z, sums[2]);
        sums[3] = fmaf(of_chunk, output[i].w, sums[3]);
      }
    }
#pragma unroll
    for (int c = 0; c < 4; ++c) {
      if (4 * word + c < p.value_dim) finished.store(p, row, 4 * word + c, sums[c]);
    }
  }
}

/// Adds up the chunks of an item's rows, a row for each warp by turns.
__device__ inline void merge_rows(const DecodeKernelParams& params, const DecodeItem& item) {
#pragma unroll 1
  for (int32_t row = static_cast<int32_t>(threadIdx.x) / 32; row < item.num_rows; row += kDecodeWarps) {
    const DecodeRow place(params.attention, item, row);
    const int64_t row_of_all = params.attention.row_of(item.sequence, place.query_token, place.query_head);
    merge_row(params, row_of_all, place.query_head, item.num_chunks);
  }
}

}  // namespace kv
