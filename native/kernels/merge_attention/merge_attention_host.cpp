#include "kernels/merge_attention/merge_attention_host.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace kv {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr int64_t kRowsPerItem = 64;

template <Dtype dtype>
void add_weighted(float* sums, const std::byte* part, float weight, int32_t width) {
  for (int32_t i = 0; i < width; ++i) sums[i] += weight * load_element<dtype>(part, i);
}

void add_weighted(Dtype dtype, float* sums, const std::byte* part, float weight, int32_t width) {
  switch (dtype) {
    case Dtype::fp16:
      return add_weighted<Dtype::fp16>(sums, part, weight, width);
    case Dtype::bf16:
      return add_weighted<Dtype::bf16>(sums, part, weight, width);
    default:
      return add_weighted<Dtype::fp32>(sums, part, weight, width);
  }
}

}  // namespace

MergeAttentionHost::MergeAttentionHost(const MergeAttentionParams& params)
    : p_(params),
      threads_(HostThreads::shared()),
      sums_(
          std::make_unique<float[]>(static_cast<size_t>(threads_->num_threads()) * static_cast<size_t>(params.width))) {
}

void MergeAttentionHost::run() noexcept {
  threads_->run((p_.num_rows + kRowsPerItem - 1) / kRowsPerItem, [&](int64_t item, int thread) {
    const int64_t end = std::min((item + 1) * kRowsPerItem, p_.num_rows);
    for (int64_t row = item * kRowsPerItem; row < end; ++row) merge_row(row, sums_.get() + int64_t{thread} * p_.width);
  });
}

void MergeAttentionHost::merge_row(int64_t row, float* sums) const {
  float greatest = -kInfinity;
  for (int32_t part = 0; part < p_.num_parts; ++part) {
    greatest = std::max(greatest, p_.log_sum_exps[part * p_.num_rows + row]);
  }
  std::fill_n(sums, p_.width, 0.0f);
  float denominator = 0;
  for (int32_t part = 0; part < p_.num_parts; ++part) {
    const float log_sum_exp = p_.log_sum_exps[part * p_.num_rows + row];
    if (log_sum_exp == -kInfinity) continue;
    const float weight = std::exp(log_sum_exp - greatest);
    denominator += weight;
    const std::byte* from = p_.parts + (part * p_.num_rows + row) * p_.width * element_bytes(p_.part_dtype);
    add_weighted(p_.part_dtype, sums, from, weight, p_.width);
  }
  std::byte* output = p_.output + row * p_.width * element_bytes(p_.output_dtype);
  const float factor = denominator > 0 ? 1 / denominator : 0;
  for (int32_t i = 0; i < p_.width; ++i) store_element(p_.output_dtype, output, i, sums[i] * factor);
  if (p_.log_sum_exp != nullptr) p_.log_sum_exp[row] = greatest + (denominator > 0 ? std::log(denominator) : 0);
}

}  // namespace kv
