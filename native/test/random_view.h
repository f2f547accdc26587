#pragma once
#include <array>
#include <random>
#include <vector>

#include "kernels/kv_view.h"

namespace kv::test {

/// One plane as a list of places, made by laying its heads one after another in some order of the axes with gaps
/// between them. It knows where each head lies, and no strides.
struct RandomPlane {
  int64_t head_bytes;
  size_t first_byte;
  size_t end_byte;
  std::vector<size_t> place;  // of [block][token][head], from the start of the buffer

  size_t at(const KvView& view, int64_t slot, int64_t head) const {
    return place[static_cast<size_t>(slot * view.num_kv_heads + head)];
  }
};

/// A view of random shape and layout over a buffer of random bytes.
struct RandomView {
  explicit RandomView(std::minstd_rand& random);

  std::vector<std::byte> bytes;
  RandomPlane keys;
  RandomPlane values;
  KvView view;  // its strides are read off the places; `at` says where it lies

  /// Points the view to where the buffer is.
  KvView at(std::byte* buffer) const;
};

/// A number from `least` to `most`.
int64_t pick(std::minstd_rand& random, int64_t least, int64_t most);
std::vector<std::byte> random_bytes(std::minstd_rand& random, size_t count);

}  // namespace kv::test
