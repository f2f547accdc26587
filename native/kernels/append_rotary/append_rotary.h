#pragma once
#include <cmath>

#include "kernels/append/append.h"
#include "kernels/element.h"

namespace kv {

/// Which two elements turn together: i and i + width / 2, or 2 i and 2 i + 1.
enum class RotaryStyle : int32_t { half_split, interleaved };

/// All that append with rotary embedding reads.
///
/// Pair i of a head, (a, b), at a position becomes (a cos - b sin, b cos + a sin), where the angle is position *
/// inverse_frequencies[i], or cosines and sines are the position's row of a table. Elements from `width` on stay. Keys
/// are rotated on their way to their slots, values are written as they are, and the query is rotated whether its token
/// has a slot or not. A token whose position the table has not, or that is negative, is left out altogether.
struct AppendRotaryParams {
  AppendParams append;               // keys null: only the query is rotated
  const int32_t* positions;          // [num_tokens]; null: positions from first_position on
  const float* inverse_frequencies;  // [width / 2]; null: the table
  const float* table;                // [num_positions, 2, width / 2]: cosines, then sines
  const std::byte* query;            // [num_tokens, num_query_heads, key_dim] of query_dtype, or null
  std::byte* rotated_query;          // as query, or query itself
  int64_t first_position;
  int64_t num_positions;
  float scaling;  // of cosines and sines, with inverse frequencies
  int32_t width;  // elements of a head that are rotated, from the first on; even
  int32_t key_dim;
  int32_t num_query_heads;
  RotaryStyle style;
  Dtype cache_dtype;
  Dtype query_dtype;

  KV_DEVICE int64_t position_of(int64_t token) const {
    return positions == nullptr ? first_position + token : positions[token];
  }
  KV_DEVICE bool has_position(int64_t position) const { return position >= 0 && position < num_positions; }
  /// Where the query's heads of a token start, from the first token's on.
  KV_DEVICE int64_t query_offset_bytes(int64_t token) const {
    return token * num_query_heads * key_dim * element_bytes(query_dtype);
  }
};

/// The angle as a part of a turn, from -0.5 to 0.5. In float64 until it is small: a long position times a frequency has
/// more digits than fp32.
KV_DEVICE inline float turn_of(int64_t position, float inverse_frequency) {
  const double turns = static_cast<double>(position) * static_cast<double>(inverse_frequency) * 0.15915494309189535;
  return static_cast<float>(turns - rint(turns));
}

/// What it means, one token at a time. The other implementations agree within rounding.
void append_rotary_cpu(const AppendRotaryParams& params);

/// Queues it on a stream, of either kind.
void run_append_rotary(const AppendRotaryParams& params, Stream& stream);

}  // namespace kv
