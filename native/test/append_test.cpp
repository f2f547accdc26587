#include "kernels/append/append.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>

#include "test/devices.h"
#include "test/random_view.h"
#include "test/recording_stream.h"

namespace kv::test {
namespace {

struct AppendInput {
  std::vector<std::byte> keys;    // [token][head][key bytes]
  std::vector<std::byte> values;  // as keys
  std::vector<int32_t> slots;     // [token]
};

/// Tokens for slots of which some are skipped (-1), some lie past the end, and some come twice.
AppendInput random_input(std::minstd_rand& random, const RandomView& cache) {
  const auto num_tokens = static_cast<size_t>(pick(random, 0, 12));
  const auto num_heads = static_cast<size_t>(cache.view.num_kv_heads);
  AppendInput input;
  input.keys = random_bytes(random, num_tokens * num_heads * static_cast<size_t>(cache.keys.head_bytes));
  input.values = random_bytes(random, num_tokens * num_heads * static_cast<size_t>(cache.values.head_bytes));
  const auto num_slots = static_cast<int32_t>(cache.view.num_slots());
  for (size_t i = 0; i < num_tokens; ++i) {
    const int64_t kind = pick(random, 0, 9);
    const int32_t unusual[] = {-1, num_slots, INT32_MAX, INT32_MIN};
    input.slots.push_back(kind < 4 ? unusual[kind] : static_cast<int32_t>(pick(random, 0, num_slots - 1)));
  }
  return input;
}

/// What must be in the cache's buffer afterwards.
std::vector<std::byte> expected(const RandomView& cache, const AppendInput& input) {
  std::vector<std::byte> bytes = cache.bytes;
  size_t key = 0;
  size_t value = 0;
  for (const int32_t slot : input.slots) {
    const bool is_inside = slot >= 0 && slot < cache.view.num_slots();
    for (int64_t head = 0; head < cache.view.num_kv_heads; ++head) {
      for (int64_t i = 0; i < cache.keys.head_bytes; ++i, ++key) {
        if (is_inside) bytes[cache.keys.at(cache.view, slot, head) + static_cast<size_t>(i)] = input.keys[key];
      }
      for (int64_t i = 0; i < cache.values.head_bytes; ++i, ++value) {
        if (is_inside) bytes[cache.values.at(cache.view, slot, head) + static_cast<size_t>(i)] = input.values[value];
      }
    }
  }
  return bytes;
}

}  // namespace

TEST_SUITE_BEGIN("append");

TEST_CASE("the reference writes each token to its slot and nothing else") {
  std::minstd_rand random(1);
  for (int round = 0; round < 2000; ++round) {
    CAPTURE(round);
    const RandomView cache(random);
    const AppendInput input = random_input(random, cache);
    std::vector<std::byte> bytes = cache.bytes;
    append_cpu({.view = cache.at(bytes.data()),
                .keys = input.keys.data(),
                .values = input.values.data(),
                .slot_mapping = input.slots.data(),
                .first_slot = 0,
                .num_tokens = static_cast<int32_t>(input.slots.size())});
    REQUIRE(bytes == expected(cache, input));
  }
}

TEST_CASE("the reference without a mapping writes to the slots from the first on") {
  std::minstd_rand random(2);
  for (int round = 0; round < 500; ++round) {
    CAPTURE(round);
    const RandomView cache(random);
    AppendInput input = random_input(random, cache);
    const int64_t first_slot = pick(random, 0, cache.view.num_slots());
    for (size_t i = 0; i < input.slots.size(); ++i) {
      input.slots[i] = static_cast<int32_t>(first_slot) + static_cast<int32_t>(i);
    }
    std::vector<std::byte> bytes = cache.bytes;
    append_cpu({.view = cache.at(bytes.data()),
                .keys = input.keys.data(),
                .values = input.values.data(),
                .slot_mapping = nullptr,
                .first_slot = first_slot,
                .num_tokens = static_cast<int32_t>(input.slots.size())});
    REQUIRE(bytes == expected(cache, input));
  }
}

TEST_CASE_TEMPLATE("on a stream it means what the reference means", On, OnHost, OnFakeCuda) {
  const auto backend = On::open();
  const StreamPtr stream = backend->make_stream();
  std::minstd_rand random(3);
  for (int round = 0; round < 100; ++round) {
    CAPTURE(round);
    const RandomView cache(random);
    const AppendInput input = random_input(random, cache);
    if (input.slots.empty()) continue;
    const auto buffer = allocate(backend, stream, cache.bytes.size());
    const auto keys = allocate(backend, stream, input.keys.size());
    const auto values = allocate(backend, stream, input.values.size());
    const auto slots = allocate(backend, stream, input.slots.size() * sizeof(int32_t));
    stream->upload(buffer->address(), cache.bytes.data(), cache.bytes.size());
    stream->upload(keys->address(), input.keys.data(), input.keys.size());
    stream->upload(values->address(), input.values.data(), input.values.size());
    stream->upload(slots->address(), input.slots.data(), slots->bytes());
    run_append({.view = cache.at(buffer->address()),
                .keys = keys->address(),
                .values = values->address(),
                .slot_mapping = reinterpret_cast<const int32_t*>(slots->address()),
                .first_slot = 0,
                .num_tokens = static_cast<int32_t>(input.slots.size())},
               *stream);
    REQUIRE(contents(*buffer, *stream) == expected(cache, input));
  }
}

TEST_CASE("a launch has a thread block per token and words that all addresses allow") {
  alignas(16) std::byte memory[256];
  const auto launched = [&](size_t misaligned, int32_t num_tokens) {
    RecordingStream<AppendParams> stream;
    const KvPlane plane{memory, 0, 128, 64, 64};
    run_append({.view = {plane, plane, 1, 4, 2},
                .keys = memory + misaligned,
                .values = memory,
                .slot_mapping = nullptr,
                .first_slot = 0,
                .num_tokens = num_tokens},
               stream);
    return stream.launches;
  };
  CHECK(launched(0, 0).empty());
  REQUIRE(launched(0, 3).size() == 1);
  CHECK(launched(0, 3)[0].x == 3);
  CHECK(launched(0, 3)[0].y * launched(0, 3)[0].z == 1);
  CHECK(launched(0, 3)[0].num_threads == 32);
  CHECK(launched(0, 3)[0].params.num_tokens == 3);
  for (const auto& [misaligned, name] : std::initializer_list<std::pair<size_t, const char*>>{
           {0, "append_16"}, {8, "append_8"}, {4, "append_4"}, {2, "append_2"}, {1, "append_1"}}) {
    CHECK(launched(misaligned, 1)[0].name == name);
  }
}

TEST_SUITE_END();

}  // namespace kv::test
