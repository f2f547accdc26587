#pragma once
#include "kernels/element.h"
#include "memory/backend.h"

namespace kv {

/// All that merging partial results of attention reads.
///
/// A row's parts are attention over some of its keys each, with the logarithms of their denominators. Their mean
/// weighted by exp(log-sum-exp) is attention over all of those keys. A part of log-sum-exp -infinity saw nothing: its
/// output is not read. Without any other part the row is zeros, and its log-sum-exp -infinity.
struct MergeAttentionParams {
  const std::byte* parts;     // [num_parts, num_rows, width] of part_dtype
  const float* log_sum_exps;  // [num_parts, num_rows], natural
  std::byte* output;          // [num_rows, width] of output_dtype
  float* log_sum_exp;         // [num_rows], or null
  int64_t num_rows;
  int32_t num_parts;
  int32_t width;
  Dtype part_dtype;
  Dtype output_dtype;
};

/// What merging means, one row at a time. The other implementations agree within rounding.
void merge_attention_cpu(const MergeAttentionParams& params);

/// Queues the merge on a stream, of either kind.
void run_merge_attention(const MergeAttentionParams& params, Stream& stream);

}  // namespace kv
