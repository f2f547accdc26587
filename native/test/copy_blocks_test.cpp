#include "kernels/copy_blocks/copy_blocks.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>

#include "test/devices.h"
#include "test/random_view.h"
#include "test/recording_stream.h"

namespace kv::test {
namespace {

/// Pairs of which none is written twice, or both read and written.
std::vector<BlockPair> random_pairs(std::minstd_rand& random, int64_t num_blocks) {
  std::vector<int32_t> blocks(static_cast<size_t>(num_blocks));
  std::iota(blocks.begin(), blocks.end(), 0);
  std::shuffle(blocks.begin(), blocks.end(), random);
  const auto num_read = static_cast<size_t>(pick(random, 1, num_blocks));
  std::vector<BlockPair> pairs;
  for (size_t to = num_read; to < blocks.size(); ++to) pairs.push_back({blocks[random() % num_read], blocks[to]});
  return pairs;
}

std::vector<std::byte> expected(const RandomView& cache, const std::vector<BlockPair>& pairs) {
  std::vector<std::byte> bytes = cache.bytes;
  for (const BlockPair& pair : pairs) {
    for (const RandomPlane* plane : {&cache.keys, &cache.values}) {
      for (int64_t token = 0; token < cache.view.tokens_per_block; ++token) {
        for (int64_t head = 0; head < cache.view.num_kv_heads; ++head) {
          const size_t from = plane->at(cache.view, int64_t{pair.from} * cache.view.tokens_per_block + token, head);
          const size_t to = plane->at(cache.view, int64_t{pair.to} * cache.view.tokens_per_block + token, head);
          for (size_t i = 0; i < static_cast<size_t>(plane->head_bytes); ++i) bytes[to + i] = cache.bytes[from + i];
        }
      }
    }
  }
  return bytes;
}

}  // namespace

TEST_SUITE_BEGIN("copy blocks");

TEST_CASE_TEMPLATE("copies every token and head of the blocks, and nothing else", On, OnHost, OnFakeCuda) {
  const auto backend = On::open();
  const StreamPtr stream = backend->make_stream();
  std::minstd_rand random(1);
  for (int round = 0; round < 300; ++round) {
    CAPTURE(round);
    const RandomView cache(random);
    const std::vector<BlockPair> pairs = random_pairs(random, cache.view.num_blocks);
    const auto buffer = allocate(backend, stream, cache.bytes.size());
    stream->upload(buffer->address(), cache.bytes.data(), cache.bytes.size());
    run_copy_blocks(cache.at(buffer->address()), pairs, backend, stream);
    REQUIRE(contents(*buffer, *stream) == expected(cache, pairs));
  }
}

TEST_CASE_TEMPLATE("takes more pairs than fit one launch", On, OnHost, OnFakeCuda) {
  constexpr int32_t num_pairs = 2 * static_cast<int32_t>(CopyBlocksParams::kMaxPairs) + 7;
  const auto backend = On::open();
  const StreamPtr stream = backend->make_stream();
  const auto buffer = allocate(backend, stream, 2 * num_pairs);
  std::vector<std::byte> bytes(2 * num_pairs);
  std::vector<BlockPair> pairs;
  for (int32_t i = 0; i < num_pairs; ++i) {
    bytes[static_cast<size_t>(i)] = static_cast<std::byte>(i % 251);
    pairs.push_back({i, num_pairs + i});
  }
  stream->upload(buffer->address(), bytes.data(), bytes.size());
  // Keys and values in the same place: one byte each.
  const KvPlane plane{buffer->address(), 1, 1, 1, 1};
  run_copy_blocks({plane, plane, 2 * num_pairs, 1, 1}, pairs, backend, stream);
  std::copy_n(bytes.begin(), num_pairs, bytes.begin() + num_pairs);
  CHECK(contents(*buffer, *stream) == bytes);
}

/// Keeps the pairs too, whose memory may go once the call is over.
class PairsStream : public RecordingStream<CopyBlocksParams> {
 public:
  std::vector<BlockPair> pairs;

  void upload(void* to, const void* from, size_t bytes) override { std::memcpy(to, from, bytes); }
  void launch(const KernelCall& call) override {
    RecordingStream::launch(call);
    const CopyBlocksParams& params = launches.back().params;
    for (int32_t i = 0; i < params.num_pairs; ++i) pairs.push_back(params.pair(i));
  }
};

TEST_CASE("launches cover every pair and every word, of the wider plane too") {
  std::minstd_rand random(2);
  for (int round = 0; round < 300; ++round) {
    const RandomView cache(random);
    std::vector<BlockPair> pairs(static_cast<size_t>(pick(random, 0, round % 50 == 0 ? 100'000 : 1000)));
    for (size_t i = 0; i < pairs.size(); ++i) pairs[i] = {static_cast<int32_t>(i), -static_cast<int32_t>(i)};
    const auto stream = std::make_shared<PairsStream>();
    run_copy_blocks(cache.at(reinterpret_cast<std::byte*>(4096)), pairs, OnHost::open(), stream);
    for (const auto& launch : stream->launches) {
      const auto word_bytes = std::stoull(launch.name.substr(std::string("copy_blocks_").size()));
      const auto bytes_of_block = static_cast<size_t>(cache.view.tokens_per_block * cache.view.num_kv_heads *
                                                      std::max(cache.keys.head_bytes, cache.values.head_bytes));
      CHECK(launch.z == 2);
      CHECK(launch.y == static_cast<unsigned>(launch.params.num_pairs));
      CHECK(size_t{launch.x} * launch.num_threads * 4 * word_bytes >= bytes_of_block);
      CHECK(launch.y <= CopyBlocksParams::kMaxPairs);
    }
    const bool are_all_there = std::equal(
        pairs.begin(), pairs.end(), stream->pairs.begin(), stream->pairs.end(),
        [](const BlockPair& one, const BlockPair& other) { return one.from == other.from && one.to == other.to; });
    CHECK(are_all_there);
  }
}

TEST_SUITE_END();

}  // namespace kv::test
