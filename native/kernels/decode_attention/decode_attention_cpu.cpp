#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/decode_attention/decode_attention.h"

namespace kv {
namespace {

/// One query head of one query token of one sequence.
struct Row {
  int64_t sequence;
  int64_t query_token;
  int64_t query_head;
};

float logit(const DecodeAttentionParams& p, const Row& row, const std::byte* key, int64_t distance) {
  const std::byte* query =
      p.query + p.row_of(row.sequence, row.query_token, row.query_head) * p.key_dim * element_bytes(p.query_dtype);
  float score = 0;
  for (int64_t i = 0; i < p.key_dim; ++i) {
    score += load_element(p.query_dtype, query, i) * load_element(p.cache_dtype, key, i);
  }
  score *= p.softmax_scale;
  if (p.soft_cap > 0) score = p.soft_cap * std::tanh(score / p.soft_cap);
  if (p.alibi_slopes != nullptr) score += p.alibi_slopes[row.query_head] * static_cast<float>(distance);
  return score;
}

void attend_row(const DecodeAttentionParams& p, const Row& row) {
  const int64_t length = p.length_of(row.sequence);
  const int64_t query_position = length - p.query_length + row.query_token;
  const int64_t kv_head = row.query_head / p.query_heads_per_kv_head();
  const auto head_of = [&](const KvPlane& plane, int64_t position) {
    return plane.head(p.block_of(row.sequence, position), position % p.view.tokens_per_block, kv_head);
  };

  std::vector<int64_t> seen;
  for (int64_t position = 0; position < length; ++position) {
    if (p.sees(row.sequence, length, row.query_token, position) && p.block_of(row.sequence, position) >= 0) {
      seen.push_back(position);
    }
  }
  std::vector<float> logits;
  for (const int64_t position : seen) {
    logits.push_back(logit(p, row, head_of(p.view.keys, position), position - query_position));
  }

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

  const int64_t index = p.row_of(row.sequence, row.query_token, row.query_head);
  std::byte* output = p.output + index * p.value_dim * element_bytes(p.output_dtype);
  for (int64_t j = 0; j < p.value_dim; ++j) {
    const float value = denominator == 0 ? 0 : weighted[static_cast<size_t>(j)] / denominator;
    store_element(p.output_dtype, output, j, value);
  }
  if (p.log_sum_exp != nullptr) p.log_sum_exp[index] = shift + std::log(denominator);
}

}  // namespace

void decode_attention_cpu(const DecodeAttentionParams& params) {
  for (int64_t sequence = 0; sequence < params.batch; ++sequence) {
    for (int64_t query_token = 0; query_token < params.query_length; ++query_token) {
      for (int64_t head = 0; head < params.num_query_heads; ++head) attend_row(params, {sequence, query_token, head});
    }
  }
}

}  // namespace kv
