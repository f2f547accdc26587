#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/merge_attention/merge_attention.h"

namespace kv {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

void merge_row(const MergeAttentionParams& p, int64_t row) {
  const auto log_sum_exp = [&](int64_t part) { return p.log_sum_exps[part * p.num_rows + row]; };
  float greatest = -kInfinity;
  for (int32_t part = 0; part < p.num_parts; ++part) greatest = std::max(greatest, log_sum_exp(part));
  float denominator = 0;
  for (int32_t part = 0; part < p.num_parts && greatest > -kInfinity; ++part) {
    denominator += std::exp(log_sum_exp(part) - greatest);
  }
  std::byte* output = p.output + row * p.width * element_bytes(p.output_dtype);
  for (int32_t i = 0; i < p.width; ++i) {
    float sum = 0;
    for (int32_t part = 0; part < p.num_parts; ++part) {
      if (log_sum_exp(part) == -kInfinity) continue;
      const std::byte* from = p.parts + (part * p.num_rows + row) * p.width * element_bytes(p.part_dtype);
      sum += std::exp(log_sum_exp(part) - greatest) / denominator * load_element(p.part_dtype, from, i);
    }
    store_element(p.output_dtype, output, i, sum);
  }
  if (p.log_sum_exp != nullptr) p.log_sum_exp[row] = greatest + (denominator > 0 ? std::log(denominator) : 0);
}

}  // namespace

void merge_attention_cpu(const MergeAttentionParams& params) {
  for (int64_t row = 0; row < params.num_rows; ++row) merge_row(params, row);
}

}  // namespace kv
