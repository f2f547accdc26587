#include <cmath>
#include <cstring>

#include "kernels/append_rotary/append_rotary.h"

namespace kv {
namespace {

struct Rotation {
  float cosine;
  float sine;
};

Rotation rotation_of(const AppendRotaryParams& p, int64_t position, int32_t pair) {
  const int32_t half = p.width / 2;
  if (p.inverse_frequencies == nullptr) {
    const float* row = p.table + position * p.width;
    return {row[pair], row[half + pair]};
  }
  const float angle = 6.2831853071795865f * turn_of(position, p.inverse_frequencies[pair]);
  return {p.scaling * std::cos(angle), p.scaling * std::sin(angle)};
}

void rotate_head(const AppendRotaryParams& p, Dtype dtype, int64_t position, const std::byte* from, std::byte* to) {
  const int32_t half = p.width / 2;
  for (int32_t pair = 0; pair < half; ++pair) {
    const bool is_split = p.style == RotaryStyle::half_split;
    const int32_t first = is_split ? pair : 2 * pair;
    const int32_t second = is_split ? pair + half : 2 * pair + 1;
    const auto [cosine, sine] = rotation_of(p, position, pair);
    const float a = load_element(dtype, from, first);
    const float b = load_element(dtype, from, second);
    store_element(dtype, to, first, a * cosine - b * sine);
    store_element(dtype, to, second, b * cosine + a * sine);
  }
  const int64_t rotated_bytes = int64_t{p.width} * element_bytes(dtype);
  const int64_t rest_bytes = int64_t{p.key_dim} * element_bytes(dtype) - rotated_bytes;
  if (from != to) std::memcpy(to + rotated_bytes, from + rotated_bytes, static_cast<size_t>(rest_bytes));
}

void write_token(const AppendRotaryParams& p, int64_t token, int64_t position, int64_t slot) {
  const KvView& view = p.append.view;
  const int64_t block = slot / view.tokens_per_block;
  const int64_t token_in_block = slot % view.tokens_per_block;
  for (int64_t head = 0; head < view.num_kv_heads; ++head) {
    const int64_t row = token * view.num_kv_heads + head;
    rotate_head(p, p.cache_dtype, position, p.append.keys + row * view.keys.head_bytes,
                view.keys.head(block, token_in_block, head));
    std::memcpy(view.values.head(block, token_in_block, head), p.append.values + row * view.values.head_bytes,
                static_cast<size_t>(view.values.head_bytes));
  }
}

}  // namespace

void append_rotary_cpu(const AppendRotaryParams& p) {
  const int64_t query_head_bytes = int64_t{p.key_dim} * element_bytes(p.query_dtype);
  for (int64_t token = 0; token < p.append.num_tokens; ++token) {
    const int64_t position = p.position_of(token);
    if (!p.has_position(position)) continue;
    for (int64_t head = 0; p.query != nullptr && head < p.num_query_heads; ++head) {
      const int64_t offset = p.query_offset_bytes(token) + head * query_head_bytes;
      rotate_head(p, p.query_dtype, position, p.query + offset, p.rotated_query + offset);
    }
    const int64_t slot = p.append.slot_of(token);
    if (p.append.keys == nullptr || slot < 0 || slot >= p.append.view.num_slots()) continue;
    write_token(p, token, position, slot);
  }
}

}  // namespace kv
