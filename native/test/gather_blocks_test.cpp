#include "kernels/gather_blocks/gather_blocks.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>

#include "test/devices.h"
#include "test/random_view.h"
#include "test/recording_stream.h"

namespace kv::test {
namespace {

std::vector<int32_t> some_blocks(std::minstd_rand& random, int64_t num_blocks) {
  std::vector<int32_t> blocks(static_cast<size_t>(num_blocks));
  std::iota(blocks.begin(), blocks.end(), 0);
  std::shuffle(blocks.begin(), blocks.end(), random);
  blocks.resize(static_cast<size_t>(pick(random, 1, num_blocks)));
  return blocks;
}

/// Calls with each byte's place in the packed buffer and in the cache's.
template <typename Each>
void for_each_byte(const RandomView& cache, const std::vector<int32_t>& blocks, const Each& each) {
  size_t packed = 0;
  for (const int32_t block : blocks) {
    for (const RandomPlane* plane : {&cache.keys, &cache.values}) {
      for (int64_t token = 0; token < cache.view.tokens_per_block; ++token) {
        for (int64_t head = 0; head < cache.view.num_kv_heads; ++head) {
          const size_t at = plane->at(cache.view, int64_t{block} * cache.view.tokens_per_block + token, head);
          for (size_t i = 0; i < static_cast<size_t>(plane->head_bytes); ++i) each(packed++, at + i);
        }
      }
    }
  }
}

}  // namespace

TEST_SUITE_BEGIN("gather blocks");

TEST_CASE_TEMPLATE("gathers into and scatters from memory of either kind", On, OnHost, OnFakeCuda) {
  const auto backend = On::open();
  const StreamPtr stream = backend->make_stream();
  std::minstd_rand random(1);
  for (int round = 0; round < 300; ++round) {
    CAPTURE(round);
    const RandomView cache(random);
    const auto blocks = some_blocks(random, cache.view.num_blocks);
    const auto bytes = blocks.size() * static_cast<size_t>(packed_block_bytes(cache.view));
    const auto kind = round % 2 == 0 ? MemoryKind::pool : MemoryKind::pinned;
    const auto packed = std::make_shared<Memory>(backend, stream, bytes, 1, kind);
    const auto buffer = allocate(backend, stream, cache.bytes.size());
    stream->upload(buffer->address(), cache.bytes.data(), cache.bytes.size());
    const bool is_scatter = pick(random, 0, 1) == 1;
    const auto given = random_bytes(random, bytes);
    stream->upload(packed->address(), given.data(), bytes);
    run_gather_blocks({cache.at(buffer->address()), blocks, packed->address(), is_scatter, kind == MemoryKind::pinned},
                      backend, stream);
    std::vector<std::byte> wanted_cache = cache.bytes;
    std::vector<std::byte> wanted_packed = given;
    for_each_byte(cache, blocks, [&](size_t in_packed, size_t in_cache) {
      if (is_scatter) {
        wanted_cache[in_cache] = given[in_packed];
      } else {
        wanted_packed[in_packed] = cache.bytes[in_cache];
      }
    });
    REQUIRE(contents(*buffer, *stream) == wanted_cache);
    REQUIRE(contents(*packed, *stream) == wanted_packed);
  }
}

TEST_CASE_TEMPLATE("takes more blocks than one launch, and more bytes than one piece of staging", On, OnHost,
                   OnFakeCuda) {
  constexpr int32_t num_blocks = 2 * static_cast<int32_t>(GatherBlocksParams::kMaxBlocks) + 3;
  const auto backend = On::open();
  const StreamPtr stream = backend->make_stream();
  for (const int64_t half_bytes : {1, 300}) {
    const auto bytes = static_cast<size_t>(2 * half_bytes * num_blocks);
    const auto buffer = allocate(backend, stream, bytes);
    const auto packed = std::make_shared<Memory>(backend, stream, bytes, 1, MemoryKind::pinned);
    std::vector<std::byte> given(bytes);
    for (size_t i = 0; i < bytes; ++i) given[i] = static_cast<std::byte>(i % 251);
    stream->upload(buffer->address(), given.data(), bytes);
    const auto head_bytes = static_cast<int32_t>(half_bytes);
    const KvPlane keys{buffer->address(), 2 * half_bytes, half_bytes, half_bytes, head_bytes};
    const KvPlane values{buffer->address() + half_bytes, 2 * half_bytes, half_bytes, half_bytes, head_bytes};
    std::vector<int32_t> blocks(num_blocks);
    std::iota(blocks.rbegin(), blocks.rend(), 0);
    run_gather_blocks({{keys, values, num_blocks, 1, 1}, blocks, packed->address(), false, true}, backend, stream);
    const auto found = contents(*packed, *stream);
    const auto block_bytes = 2 * half_bytes;
    for (int32_t i = 0; i < num_blocks; ++i) {
      const auto wanted = given.begin() + (num_blocks - 1 - i) * block_bytes;
      REQUIRE(std::equal(wanted, wanted + block_bytes, found.begin() + i * block_bytes));
    }
  }
}

TEST_SUITE_END();

}  // namespace kv::test
