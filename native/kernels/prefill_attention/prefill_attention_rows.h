#pragma once
#include <limits>

#include "kernels/attention_math.h"
#include "kernels/prefill_attention/prefill_attention_tiles.h"

namespace kv {

// A thread's part of a product of the tensor cores: of two rows, eight apart, two neighbouring columns of every eight.
// scores[g][0..1] are columns 8 g + 2 (lane % 4) + 0..1 of row lane / 4, scores[g][2..3] those of row lane / 4 + 8.

constexpr int32_t kMostNegative = std::numeric_limits<int32_t>::min();

/// The running softmax of a thread's two rows.
struct SoftmaxRows {
  float maximum[2] = {kMinusInfinity, kMinusInfinity};
  float sum[2] = {0, 0};  // this thread's columns only, until finish()

  /// Takes in the scores of more columns, which become weights; `rescale` is what earlier outputs are multiplied by.
  /// A row that sees nothing so far keeps zeros, and columns that it does not see change nothing, to the bit.
  template <int kGroups>
  __device__ void add(float (&scores)[kGroups][4], float scale_log2, float (&rescale)[2]) {
    // Two chains for each row: few warps are there to hide the latency of one.
    float highest[4] = {maximum[0], maximum[0], maximum[1], maximum[1]};
#pragma unroll
    for (int g = 0; g < kGroups; ++g) {
#pragma unroll
      for (int i = 0; i < 4; ++i) highest[i] = fmaxf(highest[i], scores[g][i]);
    }
    float base[2];
#pragma unroll
    for (int row = 0; row < 2; ++row) {
      float top = fmaxf(highest[2 * row], highest[2 * row + 1]);
      top = fmaxf(top, __shfl_xor_sync(~0u, top, 1));
      top = fmaxf(top, __shfl_xor_sync(~0u, top, 2));
      base[row] = top == kMinusInfinity ? 0.f : __fmul_rn(top, scale_log2);
      // Rounded as the base is, so that a maximum that stays rescales by exactly one.
      rescale[row] = fast_exp2(__fmul_rn(maximum[row], scale_log2) - base[row]);
      maximum[row] = top;
    }
    float part[4] = {};
#pragma unroll
    for (int g = 0; g < kGroups; ++g) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        scores[g][i] = fast_exp2(fmaf(scores[g][i], scale_log2, -base[i / 2]));
        part[i] += scores[g][i];
      }
    }
#pragma unroll
    for (int row = 0; row < 2; ++row) sum[row] = sum[row] * rescale[row] + (part[2 * row] + part[2 * row + 1]);
  }

  /// What a row's outputs are multiplied by at the end; `log_sum_exp` is its natural one. `sink_log2` is -infinity
  /// where there is none.
  __device__ float finish(int row, float scale_log2, float sink_log2, float& log_sum_exp) const {
    float total = sum[row];
    total += __shfl_xor_sync(~0u, total, 1);
    total += __shfl_xor_sync(~0u, total, 2);
    const float highest = maximum[row] == kMinusInfinity ? kMinusInfinity : maximum[row] * scale_log2;
    const float base = fmaxf(highest, sink_log2);
    if (base == kMinusInfinity) {
      log_sum_exp = kMinusInfinity;
      return 0;
    }
    const float factor = fast_exp2(highest - base);
    const float denominator = total * factor + fast_exp2(sink_log2 - base);
    log_sum_exp = (base + log2f(denominator)) * kLn2;
    return factor / denominator;
  }
};

/// What turns scores into logits, and which of them are seen.
struct ScoreRules {
  float softmax_scale;
  float soft_cap;
  int32_t window_tokens;

  __device__ explicit ScoreRules(const PrefillAttentionParams& p)
      : softmax_scale(p.softmax_scale), soft_cap(p.soft_cap), window_tokens(p.window_tokens) {}

  /// Base-two logits are this times the scores, once capped.
  __device__ float scale_log2() const { return soft_cap == 0 ? softmax_scale * kLog2E : kLog2E; }

  template <int kGroups>
  __device__ void cap(float (&scores)[kGroups][4]) const {
#pragma unroll
    for (int g = 0; g < kGroups; ++g) {
#pragma unroll
      for (int i = 0; i < 4; ++i) scores[g][i] = soft_capped(scores[g][i] * softmax_scale, soft_cap);
    }
  }

  /// Whether any of the rows from `first_row` to `last_row` sees less than all of the columns.
  __device__ bool hides(int32_t first_row, int32_t last_row, int32_t first_column, int32_t num_columns) const {
    return first_column + num_columns - 1 > first_row ||
           (window_tokens != 0 && first_column < last_row - window_tokens + 1);
  }

  /// Hides what a thread's rows do not see: `row` is the position of its first one.
  template <int kGroups>
  __device__ void mask(float (&scores)[kGroups][4], int32_t row, int32_t first_column) const {
    const int32_t column = first_column + 2 * static_cast<int32_t>(threadIdx.x % 4);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int32_t last = row + 8 * half - column;
      const int32_t first = window_tokens == 0 ? kMostNegative : last - window_tokens + 1;
#pragma unroll
      for (int g = 0; g < kGroups; ++g) {
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          if (8 * g + i > last || 8 * g + i < first) scores[g][2 * half + i] = kMinusInfinity;
        }
      }
    }
  }
};

/// Writes a thread's part of its two rows: outputs of `kGroups` times eight columns, and the log-sum-exp.
template <Dtype dtype, int kGroups>
__device__ void store_rows(const PrefillAttentionParams& p, const QueryTile& tile, int32_t row_in_tile,
                           const float (&outputs)[kGroups][4], const SoftmaxRows& softmax, float scale_log2) {
  const int32_t lane = threadIdx.x % 4;
  const float sink_log2 = p.sinks == nullptr ? kMinusInfinity : p.sinks[tile.head] * kLog2E;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float log_sum_exp;
    const float factor = softmax.finish(half, scale_log2, sink_log2, log_sum_exp);
    const int32_t row = row_in_tile + 8 * half;
    if (row >= tile.num_rows) continue;
    const int64_t head_row = p.row_of(tile.first_row + row, tile.head);
    auto* to = reinterpret_cast<uint32_t*>(p.output + head_row * p.value_dim * 2);
#pragma unroll
    for (int g = 0; g < kGroups; ++g) {
      if (8 * g >= p.value_dim) break;
      to[4 * g + lane] = pack_pair<dtype>(outputs[g][2 * half] * factor, outputs[g][2 * half + 1] * factor);
    }
    if (p.log_sum_exp != nullptr && lane == 0) p.log_sum_exp[head_row] = log_sum_exp;
  }
}

}  // namespace kv
