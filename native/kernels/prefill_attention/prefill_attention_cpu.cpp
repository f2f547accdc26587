#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/prefill_attention/prefill_attention.h"

namespace kv {
namespace {

/// One query head of one query token, which stands at `position` of its sequence.
struct Row {
  int64_t sequence;
  int64_t query_token;
  int64_t query_head;
  int64_t position;
};

float logit(const PrefillAttentionParams& p, const Row& row, const std::byte* key) {
  const std::byte* query =
      p.query + p.row_of(row.query_token, row.query_head) * p.key_dim * element_bytes(p.query_dtype);
  float score = 0;
  for (int64_t i = 0; i < p.key_dim; ++i) {
    score += load_element(p.query_dtype, query, i) * load_element(p.cache_dtype, key, i);
  }
  score *= p.softmax_scale;
  return p.soft_cap > 0 ? p.soft_cap * std::tanh(score / p.soft_cap) : score;
}

void attend_row(const PrefillAttentionParams& p, const Row& row) {
  const int64_t kv_head = row.query_head / p.query_heads_per_kv_head();
  const auto head_of = [&](const KvPlane& plane, int64_t position) {
    return plane.head(p.block_of(row.sequence, position), position % p.view.tokens_per_block, kv_head);
  };

  std::vector<int64_t> seen;
  for (int64_t position = p.window_begin(row.position); position <= row.position; ++position) {
    if (p.block_of(row.sequence, position) >= 0) seen.push_back(position);
  }
  std::vector<float> logits;
  for (const int64_t position : seen) logits.push_back(logit(p, row, head_of(p.view.keys, position)));

  constexpr float infinity = std::numeric_limits<float>::infinity();
  const float sink = p.sinks == nullptr ? -infinity : p.sinks[row.query_head];
  float greatest = sink;
  for (const float each : logits) greatest = std::max(greatest, each);
  const float shift = greatest == -infinity ? 0 : greatest;
  float denominator = std::exp(sink - shift);
  std::vector<float> weighted(static_cast<size_t>(p.value_dim));
  for (size_t i = 0; i < seen.size(); ++i) {
    const float weight = std::exp(logits[i] - shift);
    const std::byte* value = head_of(p.view.values, seen[i]);
    denominator += weight;
    for (int64_t j = 0; j < p.value_dim; ++j) {
      weighted[static_cast<size_t>(j)] += weight * load_element(p.cache_dtype, value, j);
    }
  }

  const int64_t index = p.row_of(row.query_token, row.query_head);
  std::byte* output = p.output + index * p.value_dim * element_bytes(p.output_dtype);
  for (int64_t j = 0; j < p.value_dim; ++j) {
    const float value = denominator == 0 ? 0 : weighted[static_cast<size_t>(j)] / denominator;
    store_element(p.output_dtype, output, j, value);
  }
  if (p.log_sum_exp != nullptr) p.log_sum_exp[index] = shift + std::log(denominator);
}

}  // namespace

void prefill_attention_cpu(const PrefillAttentionParams& params) {
  for (int64_t sequence = 0; sequence < params.batch; ++sequence) {
    const int64_t first_position = params.length_of(sequence) - params.query_length_of(sequence);
    for (int64_t i = 0; i < params.query_length_of(sequence); ++i) {
      for (int64_t head = 0; head < params.num_query_heads; ++head) {
        attend_row(params, {sequence, params.query_begin(sequence) + i, head, first_position + i});
      }
    }
  }
}

}  // namespace kv
