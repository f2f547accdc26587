#include "kernels/append_rotary/append_rotary.h"

#include <doctest/doctest.h>

#include <cmath>

#include "test/devices.h"
#include "test/random_view.h"
#include "test/recording_stream.h"

namespace kv::test {
namespace {

constexpr int32_t kTokens = 21;
constexpr int32_t kKvHeads = 2;
constexpr int32_t kQueryHeads = 3;
constexpr int32_t kTableRows = 40;

/// A call, and all the numbers it is about. Slots are odd ones, from the last token's on.
struct RotaryCase {
  Dtype dtype;
  RotaryStyle style;
  int32_t key_dim;
  int32_t width;
  bool has_table;

  int64_t head_bytes() const { return int64_t{key_dim} * element_bytes(dtype); }
};

std::vector<std::byte> random_elements(std::minstd_rand& random, Dtype dtype, int64_t count) {
  std::vector<std::byte> bytes(static_cast<size_t>(count * element_bytes(dtype)));
  for (int64_t i = 0; i < count; ++i) {
    store_element(dtype, bytes.data(), i, static_cast<float>(pick(random, -1000, 1000)) / 512);
  }
  return bytes;
}

double angle_of(int64_t position, const std::vector<float>& frequencies, int32_t pair) {
  return static_cast<double>(position) * static_cast<double>(frequencies[static_cast<size_t>(pair)]);
}

/// What element `i` of a head must become.
double rotated(const RotaryCase& c, const std::byte* head, int32_t i, int64_t position,
               const std::vector<float>& frequencies) {
  const double own = load_element(c.dtype, head, i);
  if (i >= c.width) return own;
  const int32_t half = c.width / 2;
  const bool is_split = c.style == RotaryStyle::half_split;
  const bool is_first = is_split ? i < half : i % 2 == 0;
  const int32_t other = is_split ? (is_first ? i + half : i - half) : (is_first ? i + 1 : i - 1);
  const double angle = angle_of(position, frequencies, is_split ? i % half : i / 2);
  const double partner = load_element(c.dtype, head, other);
  return own * std::cos(angle) + (is_first ? -partner : partner) * std::sin(angle);
}

double roundoff(Dtype dtype) {
  return dtype == Dtype::fp32 ? 0x1p-22 : dtype == Dtype::fp16 ? 0x1p-11 : 0x1p-8;
}

void require_rotated(const RotaryCase& c, const std::byte* found, const std::byte* given, int64_t position,
                     const std::vector<float>& frequencies) {
  for (int32_t i = 0; i < c.key_dim; ++i) {
    const double wanted = rotated(c, given, i, position, frequencies);
    REQUIRE(std::abs(load_element(c.dtype, found, i) - wanted) <= 4 * roundoff(c.dtype));
  }
}

std::vector<RotaryCase> cases() {
  std::vector<RotaryCase> all;
  for (const Dtype dtype : {Dtype::fp32, Dtype::fp16, Dtype::bf16}) {
    for (const RotaryStyle style : {RotaryStyle::half_split, RotaryStyle::interleaved}) {
      for (const bool has_table : {false, true}) {
        for (const auto& [key_dim, width] : {std::pair{64, 64}, {64, 32}, {80, 40}, {6, 2}}) {
          all.push_back({dtype, style, key_dim, width, has_table});
        }
      }
    }
  }
  return all;
}

}  // namespace

TEST_SUITE_BEGIN("append_rotary");

TEST_CASE_TEMPLATE("rotates keys into their slots and queries in place", On, OnHost, OnFakeCuda) {
  const auto backend = On::open();
  const StreamPtr stream = backend->make_stream();
  std::minstd_rand random(1);
  for (const RotaryCase& c : cases()) {
    const auto keys = random_elements(random, c.dtype, kTokens * kKvHeads * c.key_dim);
    const auto values = random_bytes(random, kTokens * kKvHeads * 24);
    const auto query = random_elements(random, c.dtype, kTokens * kQueryHeads * c.key_dim);
    std::vector<float> frequencies;
    for (int32_t i = 0; i < c.width / 2; ++i) frequencies.push_back(std::pow(1e4f, -2.0f * i / c.width));
    std::vector<float> table;
    for (int32_t row = 0; row < kTableRows; ++row) {
      for (int32_t i = 0; i < c.width / 2; ++i) {
        table.push_back(static_cast<float>(std::cos(angle_of(row, frequencies, i))));
      }
      for (int32_t i = 0; i < c.width / 2; ++i) {
        table.push_back(static_cast<float>(std::sin(angle_of(row, frequencies, i))));
      }
    }
    // One token has no slot, one no position, and one a position that no table has.
    std::vector<int32_t> slots;
    std::vector<int32_t> positions;
    for (int32_t token = 0; token < kTokens; ++token) {
      slots.push_back(token == 3 ? -1 : 2 * (kTokens - 1 - token));
      positions.push_back(token == 5 ? -1 : token == 7 ? kTableRows : token);
    }
    const auto on_device = [&](const auto& items) {
      const size_t bytes = items.size() * sizeof items[0];
      auto memory = allocate(backend, stream, bytes);
      stream->upload(memory->address(), items.data(), bytes);
      return memory;
    };
    const std::vector<std::byte> empty(static_cast<size_t>(2 * kTokens * kKvHeads * (c.head_bytes() + 24)),
                                       std::byte{0x5a});
    const auto cache = on_device(empty);
    const auto [key_memory, value_memory, query_memory] =
        std::tuple{on_device(keys), on_device(values), on_device(query)};
    const auto [slot_memory, position_memory] = std::pair{on_device(slots), on_device(positions)};
    const auto [frequency_memory, table_memory] = std::pair{on_device(frequencies), on_device(table)};
    const auto head_bytes = static_cast<int32_t>(c.head_bytes());
    std::byte* value_base = cache->address() + 2 * kTokens * kKvHeads * c.head_bytes();
    const KvView view{{cache->address(), 0, kKvHeads * head_bytes, head_bytes, head_bytes},
                      {value_base, 0, kKvHeads * 24, 24, 24},
                      1,
                      2 * kTokens,
                      kKvHeads};
    const auto floats = [](const auto& memory) { return reinterpret_cast<const float*>(memory->address()); };
    const auto words = [](const auto& memory) { return reinterpret_cast<const int32_t*>(memory->address()); };
    run_append_rotary({.append = {.view = view,
                                  .keys = key_memory->address(),
                                  .values = value_memory->address(),
                                  .slot_mapping = words(slot_memory),
                                  .first_slot = 0,
                                  .num_tokens = kTokens},
                       .positions = words(position_memory),
                       .inverse_frequencies = c.has_table ? nullptr : floats(frequency_memory),
                       .table = c.has_table ? floats(table_memory) : nullptr,
                       .query = query_memory->address(),
                       .rotated_query = query_memory->address(),
                       .first_position = 0,
                       .num_positions = kTableRows,
                       .scaling = 1,
                       .width = c.width,
                       .key_dim = c.key_dim,
                       .num_query_heads = kQueryHeads,
                       .style = c.style,
                       .cache_dtype = c.dtype,
                       .query_dtype = c.dtype},
                      *stream);
    const auto found = contents(*cache, *stream);
    const auto found_query = contents(*query_memory, *stream);
    const std::byte* found_values = found.data() + 2 * kTokens * kKvHeads * c.head_bytes();
    for (int64_t token = 0; token < kTokens; ++token) {
      const int64_t position = positions[static_cast<size_t>(token)];
      const bool is_left_out = position < 0 || position >= kTableRows;
      for (int64_t head = 0; head < kQueryHeads; ++head) {
        const int64_t at = (token * kQueryHeads + head) * c.head_bytes();
        if (is_left_out) {
          REQUIRE(std::memcmp(found_query.data() + at, query.data() + at, static_cast<size_t>(c.head_bytes())) == 0);
        } else {
          require_rotated(c, found_query.data() + at, query.data() + at, position, frequencies);
        }
      }
      const int64_t slot = 2 * (kTokens - 1 - token);
      for (int64_t head = 0; head < kKvHeads; ++head) {
        const int64_t to = slot * kKvHeads + head;
        const int64_t from = token * kKvHeads + head;
        if (is_left_out || token == 3) {
          REQUIRE(found[static_cast<size_t>(to * c.head_bytes())] == std::byte{0x5a});
          REQUIRE(found_values[to * 24] == std::byte{0x5a});
        } else {
          require_rotated(c, found.data() + to * c.head_bytes(), keys.data() + from * c.head_bytes(), position,
                          frequencies);
          REQUIRE(std::memcmp(found_values + to * 24, values.data() + from * 24, 24) == 0);
        }
      }
    }
    // The slots between.
    for (int64_t slot = 1; slot < 2 * kTokens; slot += 2) {
      REQUIRE(found[static_cast<size_t>(slot * kKvHeads * c.head_bytes())] == std::byte{0x5a});
    }
  }
}

TEST_CASE("a launch has words that the halves of every head allow") {
  alignas(16) std::byte memory[256];
  const auto launched = [&](int32_t key_dim, int32_t width, Dtype query_dtype, size_t misaligned) {
    RecordingStream<AppendRotaryParams> stream;
    const KvPlane plane{memory, 0, 2 * key_dim, 2 * key_dim, 2 * key_dim};
    AppendRotaryParams params{};
    params.append = {{plane, plane, 1, 4, 1}, memory, memory, nullptr, 0, 3};
    params.query = params.rotated_query = memory + misaligned;
    params.width = width;
    params.key_dim = key_dim;
    params.num_query_heads = 1;
    params.cache_dtype = Dtype::bf16;
    params.query_dtype = query_dtype;
    run_append_rotary(params, stream);
    REQUIRE(stream.launches.size() == 1);
    CHECK(stream.launches[0].x == 3);
    return stream.launches[0].name;
  };
  CHECK(launched(64, 64, Dtype::bf16, 0) == "append_rotary_16");
  CHECK(launched(64, 16, Dtype::bf16, 0) == "append_rotary_16");
  CHECK(launched(64, 64, Dtype::fp32, 0) == "append_rotary_16");
  CHECK(launched(64, 24, Dtype::bf16, 0) == "append_rotary_8");
  CHECK(launched(80, 40, Dtype::bf16, 0) == "append_rotary_8");
  CHECK(launched(64, 64, Dtype::bf16, 8) == "append_rotary_8");
  CHECK(launched(64, 20, Dtype::bf16, 0) == "append_rotary_1");
  CHECK(launched(64, 64, Dtype::bf16, 2) == "append_rotary_1");
}

TEST_SUITE_END();

}  // namespace kv::test
