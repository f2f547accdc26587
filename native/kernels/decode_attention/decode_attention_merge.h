#pragma once
#include "kernels/decode_attention/decode_attention_items.h"

// Adds up the partial results of the pieces of each row, from the first to the last. Whichever thread block finishes
// the last of them does it. Loads go past the L1 caches, which do not see what other multiprocessors wrote.

namespace kv {

constexpr int kMergeLoads = 8;  // of a lane under way

/// Adds up the pieces of an item's row, sixteen at a time; by one warp.
__device__ inline void merge_row(const DecodeKernelParams& params, const DecodeItem& item, int32_t step, int32_t row) {
  const DecodeAttentionParams& p = params.attention;
  const int32_t lane = threadIdx.x % 32;
  const int32_t num_pieces = item.num_pieces;
  const auto* partial_sums = reinterpret_cast<const float2*>(params.partial_sums) + item.first_partial + row;
  const auto sums_of = [&](int32_t piece) {
    return piece < num_pieces ? __ldcg(partial_sums + int64_t{piece} * step) : float2{kMinusInfinity, 0};
  };
  const int32_t words = params.partial_width() / 4;
  const auto* outputs =
      reinterpret_cast<const float4*>(params.partial_outputs) + (int64_t{item.first_partial} + row) * words;
  const DecodeRow place(params, item, row);
  const int64_t row_of_all = p.row_of(item.sequence, place.query_token, place.query_head);
#pragma unroll 1
  for (int32_t word = lane; word - lane < words; word += 32) {
    float greatest = kMinusInfinity;
    float sum = 0;
    float output[4] = {};
    const float4* next = outputs + word;
#pragma unroll 1
    for (int32_t from = 0; from < num_pieces; from += kMergeLoads) {
      const float2 sums = sums_of(from + lane % kMergeLoads);
      float4 loaded[kMergeLoads];
#pragma unroll
      for (int i = 0; i < kMergeLoads; ++i) {
        loaded[i] = from + i < num_pieces && word < words ? __ldcg(next) : float4{};
        next += int64_t{step} * words;
      }
      const float highest = fmaxf(greatest, warp_max(sums.x));
      const float shift = highest == kMinusInfinity ? 0 : highest;
      const float rescale = fast_exp2(greatest - shift);
      const float weight = fast_exp2(sums.x - shift);
      greatest = highest;
      sum = fmaf(sum, rescale, lane < kMergeLoads ? weight * sums.y : 0);
#pragma unroll
      for (float& each : output) each *= rescale;
#pragma unroll
      for (int i = 0; i < kMergeLoads; ++i) {
        const float of_piece = __shfl_sync(~0u, weight, i);
        output[0] = fmaf(of_piece, loaded[i].x, output[0]);
        output[1] = fmaf(of_piece, loaded[i].y, output[1]);
        output[2] = fmaf(of_piece, loaded[i].z, output[2]);
        output[3] = fmaf(of_piece, loaded[i].w, output[3]);
      }
    }
    const FinishedRow finished(p, place.query_head, greatest, warp_sum(sum));
#pragma unroll
    for (int c = 0; c < 4; ++c) {
      if (4 * word + c < p.value_dim) finished.store(p, row_of_all, 4 * word + c, output[c]);
    }
  }
}

/// Adds up the pieces of an item's rows, a row for each warp by turns.
__device__ inline void merge_rows(const DecodeKernelParams& params, const DecodeItem& item, int32_t step) {
#pragma unroll 1
  for (int32_t row = static_cast<int32_t>(threadIdx.x) / 32; row < item.num_rows; row += kDecodeWarps) {
    merge_row(params, item, step, row);
  }
}

}  // namespace kv
