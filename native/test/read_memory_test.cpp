#include "kernels/read_memory/read_memory.h"

#include <doctest/doctest.h>

#include "kernels/read_memory/read_memory_grid.h"
#include "kernels/read_memory/read_memory_host.h"
#include "test/recording_stream.h"

namespace kv::test {
namespace {

constexpr uint32_t kWanted = 0xdeadbeef;

/// What all cores, and the reference, find in words of which one is the wanted one; -1: none.
bool is_found(int64_t num_vectors, int64_t place) {
  std::vector<uint32_t> words(static_cast<size_t>(kWordsPerVector * num_vectors));
  if (place >= 0) words[static_cast<size_t>(place)] = kWanted;
  uint32_t found[2] = {};
  ReadMemoryHost({words.data(), num_vectors, kWanted, &found[0]}).run();
  read_memory_cpu({words.data(), num_vectors, kWanted, &found[1]});
  CHECK(found[0] == found[1]);
  return found[0] == 1;
}

}  // namespace

TEST_SUITE_BEGIN("read memory");

TEST_CASE("finds the word wherever it is") {
  for (const int64_t num_vectors : {1, 3, 4, 5, 65'536, 65'537, 200'001}) {
    CAPTURE(num_vectors);
    const int64_t num_words = kWordsPerVector * num_vectors;
    CHECK_FALSE(is_found(num_vectors, -1));
    for (const int64_t place : {int64_t{0}, num_words / 2, num_words - 4, num_words - 1}) {
      CHECK(is_found(num_vectors, place));
    }
  }
}

TEST_CASE("a launch on a GPU has threads for every vector, and no thread block too many") {
  for (const int64_t num_vectors : {int64_t{1}, int64_t{4096}, int64_t{4097}, int64_t{1} << 28}) {
    CAPTURE(num_vectors);
    RecordingStream<ReadMemoryParams> stream;
    run_read_memory({nullptr, num_vectors, kWanted, nullptr}, stream);
    REQUIRE(stream.launches.size() == 1);
    const auto& launch = stream.launches[0];
    CHECK(launch.name == "read_memory");
    CHECK(launch.num_threads == kReadThreads);
    CHECK(int64_t{launch.x} * kVectorsPerThreadBlock >= num_vectors);
    CHECK((int64_t{launch.x} - 1) * kVectorsPerThreadBlock < num_vectors);
  }
  RecordingStream<ReadMemoryParams> stream;
  run_read_memory({nullptr, 0, kWanted, nullptr}, stream);
  CHECK(stream.launches.empty());
}

TEST_SUITE_END();

}  // namespace kv::test
