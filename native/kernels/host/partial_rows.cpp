#include "kernels/host/partial_rows.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace kv {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kLog2OfE = 1.4426950408889634f;

}  // namespace

void add_row(const PartialRow& to, const PartialRow& from, int64_t width) {
  const float now = std::max(*to.greatest, *from.greatest);
  const float shift = now == -kInfinity ? 0 : now;
  const float factor = std::exp2(*to.greatest - shift);
  const float from_factor = std::exp2(*from.greatest - shift);
  for (int64_t i = 0; i < width; ++i) to.weighted[i] = to.weighted[i] * factor + from.weighted[i] * from_factor;
  *to.denominator = *to.denominator * factor + *from.denominator * from_factor;
  *to.greatest = now;
}

void write_row(const RowTarget& to, const PartialRow& from, float sink, int64_t width) {
  const float sink_in_base_2 = sink * kLog2OfE;
  const float greatest = std::max(*from.greatest, sink_in_base_2);
  const float shift = greatest == -kInfinity ? 0 : greatest;
  const float factor = std::exp2(*from.greatest - shift);
  const float denominator = *from.denominator * factor + std::exp2(sink_in_base_2 - shift);
  for (int64_t i = 0; i < width; ++i) {
    store_element(to.dtype, to.output, i, denominator == 0 ? 0 : from.weighted[i] * factor / denominator);
  }
  if (to.log_sum_exp != nullptr) *to.log_sum_exp = (shift + std::log2(denominator)) / kLog2OfE;
}

}  // namespace kv
