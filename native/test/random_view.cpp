#include "test/random_view.h"

#include <algorithm>

namespace kv::test {
namespace {

/// Lays heads from `start` on, in a random order of the axes (block, token, head), the last of which varies fastest.
RandomPlane lay(std::minstd_rand& random, const std::array<int64_t, 3>& counts, int64_t head_bytes, size_t start) {
  std::array<size_t, 3> axes{0, 1, 2};
  std::shuffle(axes.begin(), axes.end(), random);
  const int64_t grain = int64_t{1} << pick(random, 0, 4);
  const auto gap = [&] { return static_cast<size_t>(pick(random, 0, 2) * grain); };
  const std::array<size_t, 3> gaps{gap(), gap(), gap()};
  RandomPlane plane{head_bytes, start, start, {}};
  plane.place.resize(static_cast<size_t>(counts[0] * counts[1] * counts[2]));
  std::array<int64_t, 3> index{};
  for (index[axes[0]] = 0; index[axes[0]] < counts[axes[0]]; ++index[axes[0]]) {
    for (index[axes[1]] = 0; index[axes[1]] < counts[axes[1]]; ++index[axes[1]]) {
      for (index[axes[2]] = 0; index[axes[2]] < counts[axes[2]]; ++index[axes[2]]) {
        plane.place[static_cast<size_t>((index[0] * counts[1] + index[1]) * counts[2] + index[2])] = plane.end_byte;
        plane.end_byte += static_cast<size_t>(head_bytes) + gaps[2];
      }
      plane.end_byte += gaps[1];
    }
    plane.end_byte += gaps[0];
  }
  return plane;
}

/// The strides that lead to the places; 0 along an axis of one.
KvPlane strides_of(const RandomPlane& plane, const std::array<int64_t, 3>& counts) {
  const auto step = [&](int64_t to, bool is_there) {
    return is_there ? static_cast<int64_t>(plane.place[static_cast<size_t>(to)] - plane.place[0]) : 0;
  };
  return {.base = nullptr,
          .block_stride_bytes = step(counts[1] * counts[2], counts[0] > 1),
          .token_stride_bytes = step(counts[2], counts[1] > 1),
          .head_stride_bytes = step(1, counts[2] > 1),
          .head_bytes = static_cast<int32_t>(plane.head_bytes)};
}

/// Head widths of 1, 2 and 4 byte elements, among them odd ones.
int64_t random_head_bytes(std::minstd_rand& random) {
  const int64_t element_bytes = int64_t{1} << pick(random, 0, 2);
  return element_bytes * (pick(random, 0, 1) == 0 ? pick(random, 1, 9) : 8 * pick(random, 1, 8));
}

}  // namespace

int64_t pick(std::minstd_rand& random, int64_t least, int64_t most) {
  return std::uniform_int_distribution<int64_t>(least, most)(random);
}

std::vector<std::byte> random_bytes(std::minstd_rand& random, size_t count) {
  std::vector<std::byte> bytes(count);
  for (std::byte& each : bytes) each = static_cast<std::byte>(random());
  return bytes;
}

RandomView::RandomView(std::minstd_rand& random) {
  const std::array<int64_t, 3> counts{pick(random, 1, 5), pick(random, 1, 6), pick(random, 1, 4)};
  keys = lay(random, counts, random_head_bytes(random), static_cast<size_t>(16 * pick(random, 0, 2)));
  const size_t start_of_values = (keys.end_byte + 15) / 16 * 16 + static_cast<size_t>(pick(random, 0, 1));
  values = lay(random, counts, random_head_bytes(random), start_of_values);
  bytes = random_bytes(random, values.end_byte + 64);
  view = {.keys = strides_of(keys, counts),
          .values = strides_of(values, counts),
          .num_blocks = counts[0],
          .tokens_per_block = static_cast<int32_t>(counts[1]),
          .num_kv_heads = static_cast<int32_t>(counts[2])};
}

KvView RandomView::at(std::byte* buffer) const {
  KvView placed = view;
  placed.keys.base = buffer + keys.place[0];
  placed.values.base = buffer + values.place[0];
  return placed;
}

}  // namespace kv::test
