#pragma once
#include "kernels/attention_math.h"
#include "kernels/prefill_attention/prefill_attention_tiles.h"

namespace kv {

// A thread's part of a product of the tensor cores: of two rows, eight apart, two neighbouring columns of every eight.
// scores[g][0..1] are columns 8 g + 2 (lane % 4) + 0..1 of row lane / 4, scores[g][2..3] those of row lane / 4 + 8.

/// The running softmax of a thread's two rows. A weight is two to the power of what its logit has over the base of its
/// row. The base is the highest logit so far, but one that is a little too low serves as well: it stays until a logit
/// exceeds it by more than `kHeadroom`, so that most scores change nothing but the sums.
struct SoftmaxRows {
  static constexpr float kHeadroom = 8;  // weights are at most 2^8, which every type holds

  float limit[2] = {kMinusInfinity, kMinusInfinity};  // the highest score that the base serves
  float base[2] = {0, 0};                             // in powers of two
  float sum[2] = {0, 0};                              // this thread's columns only, until finish()

  /// Raises the bases of the rows that need it for the scores of more columns. If any row of the warp did: true, and
  /// `rescale` is what earlier outputs are multiplied by.
  template <int kGroups>
  __device__ bool raise(const float (&scores)[kGroups][4], float scale_log2, float (&rescale)[2]) {
    // Two chains for each row: few warps are there to hide the latency of one.
    float highest[4] = {scores[0][0], scores[0][1], scores[0][2], scores[0][3]};
#pragma unroll
    for (int g = 1; g < kGroups; ++g) {
#pragma unroll
      for (int i = 0; i < 4; ++i) highest[i] = fmaxf(highest[i], scores[g][i]);
    }
    float top[2] = {fmaxf(highest[0], highest[1]), fmaxf(highest[2], highest[3])};
    if (__builtin_expect(!__any_sync(~0u, top[0] > limit[0] || top[1] > limit[1]), 1)) return false;
#pragma unroll
    for (int row = 0; row < 2; ++row) {
      top[row] = fmaxf(top[row], __shfl_xor_sync(~0u, top[row], 1));
      top[row] = fmaxf(top[row], __shfl_xor_sync(~0u, top[row], 2));
      rescale[row] = 1;
      if (!(top[row] > limit[row])) continue;
      const float raised = top[row] * scale_log2;
      rescale[row] = sees_nothing(row) ? 0.f : fast_exp2(base[row] - raised);
      sum[row] *= rescale[row];
      base[row] = raised;
      limit[row] = top[row] + kHeadroom / scale_log2;
    }
    return true;
  }

  /// Makes weights of scores for which the bases were raised. A row that sees nothing so far keeps zeros, and columns
  /// that it does not see change nothing, to the bit.
  template <int kGroups>
  __device__ void weigh(float (&scores)[kGroups][4], float scale_log2) {
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
    for (int row = 0; row < 2; ++row) sum[row] += part[2 * row] + part[2 * row + 1];
  }

  /// What a row's outputs are multiplied by at the end; `log_sum_exp` is its natural one. `sink_log2` is -infinity
  /// where there is none.
  __device__ float finish(int row, float sink_log2, float& log_sum_exp) const {
    float total = sum[row];
    total += __shfl_xor_sync(~0u, total, 1);
    total += __shfl_xor_sync(~0u, total, 2);
    const float own = sees_nothing(row) ? kMinusInfinity : base[row];
    const float common = fmaxf(own, sink_log2);
    if (common == kMinusInfinity) {
      log_sum_exp = kMinusInfinity;
      return 0;
    }
    const float factor = fast_exp2(own - common);
    const float denominator = total * factor + fast_exp2(sink_log2 - common);
    log_sum_exp = (common + log2f(denominator)) * kLn2;
    return factor / denominator;
  }

 private:
  __device__ bool sees_nothing(int row) const { return limit[row] == kMinusInfinity; }
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
    const float factor = softmax_scale / soft_cap * (2 * kLog2E);
#pragma unroll
    for (int g = 0; g < kGroups; ++g) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        // As soft_capped() does, with one division for all.
        scores[g][i] = soft_cap - __fdividef(2 * soft_cap, fast_exp2(scores[g][i] * factor) + 1);
      }
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
    const int32_t last = row - first_column - 2 * static_cast<int32_t>(threadIdx.x % 4);
    hide(scores, last, [](int32_t column, int32_t end) { return column > end; });
    if (window_tokens == 0) return;
    hide(scores, last - window_tokens + 1, [](int32_t column, int32_t begin) { return column < begin; });
  }

 private:
  /// `bound` is that of the first row; columns count from the thread's first one.
  template <int kGroups, typename IsHidden>
  __device__ static void hide(float (&scores)[kGroups][4], int32_t bound, const IsHidden& is_hidden) {
#pragma unroll
    for (int g = 0; g < kGroups; ++g) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        if (is_hidden(8 * g + i % 2, bound + i / 2 * 8)) scores[g][i] = kMinusInfinity;
      }
    }
  }
};

/// Writes the log-sum-exp of a thread's two rows, the first of which is given; `factor` is what their outputs are
/// multiplied by.
__device__ inline void finish_rows(const PrefillAttentionParams& p, const QueryTile& tile, int32_t row_in_tile,
                                   const SoftmaxRows& softmax, float (&factor)[2]) {
  const float sink_log2 = p.sinks == nullptr ? kMinusInfinity : p.sinks[tile.head] * kLog2E;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float log_sum_exp;
    factor[half] = softmax.finish(half, sink_log2, log_sum_exp);
    const int32_t row = row_in_tile + 8 * half;
    if (p.log_sum_exp == nullptr || threadIdx.x % 4 != 0 || row >= tile.num_rows) continue;
    p.log_sum_exp[p.row_of(tile.first_row + row, tile.head)] = log_sum_exp;
  }
}

/// Writes a thread's part of its two rows: outputs of `kGroups` times eight columns.
template <Dtype dtype, int kGroups>
__device__ void store_rows(const PrefillAttentionParams& p, const QueryTile& tile, int32_t row_in_tile,
                           const float (&outputs)[kGroups][4], const float (&factor)[2]) {
  const int32_t lane = threadIdx.x % 4;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int32_t row = row_in_tile + 8 * half;
    if (row >= tile.num_rows) continue;
    auto* to = reinterpret_cast<uint32_t*>(p.output + p.row_of(tile.first_row + row, tile.head) * p.value_dim * 2);
#pragma unroll
    for (int g = 0; g < kGroups; ++g) {
      if (8 * g >= p.value_dim) break;
      to[4 * g + lane] = pack_pair<dtype>(outputs[g][2 * half] * factor[half], outputs[g][2 * half + 1] * factor[half]);
    }
  }
}

}  // namespace kv
