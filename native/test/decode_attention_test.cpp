#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "kernels/host/host_threads.h"
#include "memory/host_stream.h"
#include "test/attention_case.h"
#include "test/recording_stream.h"

namespace kv::test {
namespace {

/// Rounding of sums of some hundred terms in fp32, and then of the output's type.
float tolerance(Dtype dtype) {
  return dtype == Dtype::fp32 ? 3e-5f : dtype == Dtype::fp16 ? 1.0f / 512 : 1.0f / 64;
}

bool agree(float found, float wanted, float allowed) {
  return found == wanted || std::abs(found - wanted) <= allowed * std::max(1.0f, std::abs(wanted));
}

/// The first place where two lists do not agree, or -1.
int64_t difference(const std::vector<float>& found, const std::vector<float>& wanted, float allowed) {
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (!agree(found[i], wanted[i], allowed)) return static_cast<int64_t>(i);
  }
  return -1;
}

}  // namespace

TEST_SUITE_BEGIN("decode attention");

TEST_CASE("every variant that this machine can run agrees with the reference, and gives the same bits each time") {
  HostStream stream;
  std::minstd_rand random(1);
  int num_run = 0;
  for (const HostVariant variant : {HostVariant::portable, HostVariant::avx2, HostVariant::avx512}) {
    if (!can_run(variant)) continue;
    ++num_run;
    CAPTURE(static_cast<int>(variant));
    for (int round = 0; round < 60; ++round) {
      CAPTURE(round);
      AttentionCase attention(random);
      const auto wanted = attention.run(HostVariant::reference, stream);
      const auto found = attention.run(variant, stream);
      const float allowed = tolerance(attention.params.output_dtype);
      REQUIRE(difference(attention.output_of(found), attention.output_of(wanted), allowed) == -1);
      REQUIRE(difference(found.log_sum_exp, wanted.log_sum_exp, 3e-5f) == -1);
      REQUIRE(attention.run(variant, stream) == found);
    }
  }
  CHECK(num_run > 0);
}

TEST_CASE("a sequence's result does not depend on the others in the batch") {
  HostStream stream;
  std::minstd_rand random(2);
  for (int round = 0; round < 60; ++round) {
    CAPTURE(round);
    AttentionCase attention(random);
    const auto all = attention.run(HostVariant::fastest, stream);
    for (int32_t sequence = 0; sequence < attention.params.batch; ++sequence) {
      REQUIRE(attention.run_alone(sequence, HostVariant::fastest, stream) == attention.part_of(all, sequence));
    }
  }
}

TEST_CASE("sequences of more tokens than the threads take at once are summed up in order") {
  HostStream stream;
  std::minstd_rand random(3);
  const int32_t tokens = 30'000 * HostThreads::shared()->num_threads();
  const auto attention = AttentionCase::of_length(random, tokens);
  const auto wanted = attention->run(HostVariant::reference, stream);
  const auto found = attention->run(HostVariant::fastest, stream);
  CHECK(difference(attention->output_of(found), attention->output_of(wanted), 1e-4f) == -1);
  CHECK(difference(found.log_sum_exp, wanted.log_sum_exp, 1e-4f) == -1);
  for (int32_t sequence = 0; sequence < attention->params.batch; ++sequence) {
    CHECK(attention->run_alone(sequence, HostVariant::fastest, stream) == attention->part_of(found, sequence));
  }
}

TEST_CASE("an empty batch does nothing, on any stream") {
  RecordingStream<DecodeAttentionParams> stream;
  run_decode_attention({}, HostVariant::fastest, stream);
  CHECK(stream.launches.empty());
}

TEST_CASE("the threads of the host do each item once, and one at a time for each number") {
  for (const int num_threads : {1, 2, 5}) {
    CAPTURE(num_threads);
    HostThreads threads(num_threads);
    CHECK(threads.num_threads() == num_threads);
    for (const int64_t num_items : {0, 1, 3, 1000}) {
      std::vector<int> done(static_cast<size_t>(num_items));
      std::vector<int64_t> by_thread(static_cast<size_t>(num_threads));  // not atomic: a race would be seen
      threads.run(num_items, [&](int64_t item, int thread) {
        ++done[static_cast<size_t>(item)];
        ++by_thread[static_cast<size_t>(thread)];
      });
      CHECK(std::all_of(done.begin(), done.end(), [](int count) { return count == 1; }));
      int64_t sum = 0;
      for (const int64_t each : by_thread) sum += each;
      CHECK(sum == num_items);
    }
  }
}

TEST_SUITE_END();

}  // namespace kv::test
