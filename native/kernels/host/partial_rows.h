#pragma once
#include <cstdint>

#include "kernels/element.h"

namespace kv {

/// A row of what some tokens give: the sum of 2^(logit - greatest) * value, and of the weights alone. Logits in base 2.
struct PartialRow {
  float* weighted;  // [width]
  float* greatest;
  float* denominator;
};

/// Adds the tokens of one row to another's.
void add_row(const PartialRow& to, const PartialRow& from, int64_t width);

/// Where a finished row goes.
struct RowTarget {
  std::byte* output;  // [width] of dtype
  Dtype dtype;
  float* log_sum_exp;  // natural; or null
};

/// The weighted mean of a row, in whose denominator the sink (a natural logit, or -infinity) takes part.
void write_row(const RowTarget& to, const PartialRow& from, float sink, int64_t width);

}  // namespace kv
