#include "kernels/append_rotary/append_rotary_host.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace kv {
namespace {

constexpr int64_t kTokensPerItem = 8;

/// Heads of one token that are rotated alike.
struct Heads {
  const std::byte* from;
  int64_t from_stride_bytes;
  std::byte* to;
  int64_t to_stride_bytes;
  int32_t num_heads;
};

template <Dtype dtype, RotaryStyle style>
void rotate_head(const std::byte* from, std::byte* to, const float* cosines, const float* sines, int32_t half) {
  constexpr bool is_split = style == RotaryStyle::half_split;
  for (int32_t pair = 0; pair < half; ++pair) {
    const int32_t first = is_split ? pair : 2 * pair;
    const int32_t second = is_split ? pair + half : 2 * pair + 1;
    const float a = load_element<dtype>(from, first);
    const float b = load_element<dtype>(from, second);
    store_element<dtype>(to, first, a * cosines[pair] - b * sines[pair]);
    store_element<dtype>(to, second, b * cosines[pair] + a * sines[pair]);
  }
}

template <Dtype dtype>
void rotate_heads(const AppendRotaryParams& p, const Heads& heads, const float* cosines) {
  const int32_t half = p.width / 2;
  const int64_t rotated_bytes = int64_t{p.width} * element_bytes(dtype);
  const auto rest_bytes = static_cast<size_t>(int64_t{p.key_dim} * element_bytes(dtype) - rotated_bytes);
  for (int32_t head = 0; head < heads.num_heads; ++head) {
    const std::byte* from = heads.from + head * heads.from_stride_bytes;
    std::byte* to = heads.to + head * heads.to_stride_bytes;
    if (p.style == RotaryStyle::half_split) {
      rotate_head<dtype, RotaryStyle::half_split>(from, to, cosines, cosines + half, half);
    } else {
      rotate_head<dtype, RotaryStyle::interleaved>(from, to, cosines, cosines + half, half);
    }
    if (from != to) std::memcpy(to + rotated_bytes, from + rotated_bytes, rest_bytes);
  }
}

void rotate_heads(Dtype dtype, const AppendRotaryParams& p, const Heads& heads, const float* cosines) {
  switch (dtype) {
    case Dtype::fp16:
      return rotate_heads<Dtype::fp16>(p, heads, cosines);
    case Dtype::bf16:
      return rotate_heads<Dtype::bf16>(p, heads, cosines);
    default:
      return rotate_heads<Dtype::fp32>(p, heads, cosines);
  }
}

/// The token's cosines, and behind them its sines.
const float* rotations_of(const AppendRotaryParams& p, int64_t position, float* rotations) {
  if (p.inverse_frequencies == nullptr) return p.table + position * p.width;
  const int32_t half = p.width / 2;
  for (int32_t pair = 0; pair < half; ++pair) {
    const float angle = 6.2831853071795865f * turn_of(position, p.inverse_frequencies[pair]);
    rotations[pair] = p.scaling * std::cos(angle);
    rotations[half + pair] = p.scaling * std::sin(angle);
  }
  return rotations;
}

}  // namespace

AppendRotaryHost::AppendRotaryHost(const AppendRotaryParams& params)
    : p_(params),
      threads_(HostThreads::shared()),
      rotations_(
          std::make_unique<float[]>(static_cast<size_t>(threads_->num_threads()) * static_cast<size_t>(params.width))) {
}

void AppendRotaryHost::run() noexcept {
  const int64_t num_tokens = p_.append.num_tokens;
  threads_->run((num_tokens + kTokensPerItem - 1) / kTokensPerItem, [&](int64_t item, int thread) {
    const int64_t end = std::min((item + 1) * kTokensPerItem, num_tokens);
    float* rotations = rotations_.get() + int64_t{thread} * p_.width;
    for (int64_t token = item * kTokensPerItem; token < end; ++token) append_token(token, rotations);
  });
}

void AppendRotaryHost::append_token(int64_t token, float* rotations) const {
  const int64_t position = p_.position_of(token);
  if (!p_.has_position(position)) return;
  const float* cosines = rotations_of(p_, position, rotations);
  if (p_.query != nullptr) {
    const int64_t head_bytes = int64_t{p_.key_dim} * element_bytes(p_.query_dtype);
    const int64_t offset = p_.query_offset_bytes(token);
    rotate_heads(p_.query_dtype, p_,
                 {p_.query + offset, head_bytes, p_.rotated_query + offset, head_bytes, p_.num_query_heads}, cosines);
  }
  const KvView& view = p_.append.view;
  const int64_t slot = p_.append.slot_of(token);
  if (p_.append.keys == nullptr || slot < 0 || slot >= view.num_slots()) return;
  const int64_t block = slot / view.tokens_per_block;
  const int64_t token_in_block = slot % view.tokens_per_block;
  const int64_t row = token * view.num_kv_heads;
  rotate_heads(p_.cache_dtype, p_,
               {p_.append.keys + row * view.keys.head_bytes, view.keys.head_bytes,
                view.keys.head(block, token_in_block, 0), view.keys.head_stride_bytes, view.num_kv_heads},
               cosines);
  for (int64_t head = 0; head < view.num_kv_heads; ++head) {
    std::memcpy(view.values.head(block, token_in_block, head), p_.append.values + (row + head) * view.values.head_bytes,
                static_cast<size_t>(view.values.head_bytes));
  }
}

}  // namespace kv
