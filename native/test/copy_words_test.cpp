#include "kernels/copy_words.h"

#include <doctest/doctest.h>

#include <random>

namespace kv::test {

TEST_SUITE_BEGIN("copy words");

TEST_CASE("a word is the widest that divides every address and stride") {
  std::minstd_rand random(1);
  // Numbers with some power of two in them, so that all widths come up.
  const auto number = [&] { return static_cast<int64_t>(1 + random() % 1000) << random() % 7; };
  const auto plane = [&] {
    return KvPlane{reinterpret_cast<std::byte*>(number()), number(), number(), number(),
                   static_cast<int32_t>(number())};
  };
  bool seen[17] = {};
  for (int round = 0; round < 20'000; ++round) {
    const KvView view{plane(), plane(), 1, 1, 1};
    const auto also = static_cast<uintptr_t>(number());
    const auto divides = [&](int64_t width) {
      for (const KvPlane& each : {view.keys, view.values}) {
        for (const int64_t value :
             {static_cast<int64_t>(reinterpret_cast<uintptr_t>(each.base)), each.block_stride_bytes,
              each.token_stride_bytes, each.head_stride_bytes, int64_t{each.head_bytes}}) {
          if (value % width != 0) return false;
        }
      }
      return static_cast<int64_t>(also) % width == 0;
    };
    int widest = 16;
    while (!divides(widest)) widest /= 2;
    const int found = word_bytes(view, {also});
    REQUIRE(found == widest);
    seen[found] = true;
  }
  for (const int width : {1, 2, 4, 8, 16}) CHECK(seen[width]);
}

TEST_CASE("threads are whole warps, enough for the row where 256 are") {
  for (int64_t words = 0; words < 2000; ++words) {
    const unsigned threads = threads_for(words);
    CAPTURE(words);
    CHECK(threads % 32 == 0);
    CHECK(threads >= 32);
    CHECK(threads <= 256);
    CHECK((threads == 256 || threads >= words));
    CHECK((threads == 32 || threads - 32 < words));
  }
  CHECK(threads_for(int64_t{1} << 40) == 256);
}

TEST_SUITE_END();

}  // namespace kv::test
