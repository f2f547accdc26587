#include "kernels/prefill_attention/prefill_attention.h"

#include <doctest/doctest.h>

#include <cmath>

#include "kernels/merge_attention/merge_attention.h"
#include "memory/host_stream.h"
#include "test/attention_case.h"
#include "test/random_view.h"

namespace kv::test {
namespace {

/// A decode case as prompts: each sequence has up to `query_length` new tokens.
struct Prompts {
  Prompts(std::minstd_rand& random, const DecodeAttentionParams& decode) {
    params.view = decode.view;
    params.query = decode.query;
    params.sequence_lengths = decode.sequence_lengths;
    params.block_tables = decode.block_tables;
    params.sinks = decode.sinks;
    params.num_query_tokens = decode.batch * decode.query_length;
    params.max_blocks = decode.max_blocks;
    params.batch = decode.batch;
    params.num_query_heads = decode.num_query_heads;
    params.key_dim = decode.key_dim;
    params.value_dim = decode.value_dim;
    params.window_tokens = decode.window_tokens;
    params.softmax_scale = decode.softmax_scale;
    params.soft_cap = decode.soft_cap;
    params.cache_dtype = decode.cache_dtype;
    params.query_dtype = decode.query_dtype;
    params.output_dtype = Dtype::fp32;
    for (int32_t i = 0; i < decode.batch; ++i) {
      offsets.push_back(offsets.back() + static_cast<int32_t>(pick(random, 0, decode.query_length)));
    }
    params.query_offsets = offsets.data();
  }
  Prompts(const Prompts&) = delete;
  Prompts& operator=(const Prompts&) = delete;

  std::vector<float> run(HostVariant variant, Stream& stream) {
    const size_t num_rows = static_cast<size_t>(params.num_query_tokens) * static_cast<size_t>(params.num_query_heads);
    std::vector<float> results(num_rows * static_cast<size_t>(params.value_dim + 1), 12345);
    params.output = reinterpret_cast<std::byte*>(results.data());
    params.log_sum_exp = results.data() + num_rows * static_cast<size_t>(params.value_dim);
    run_prefill_attention(params, variant, stream);
    stream.synchronize();
    return results;
  }

  PrefillAttentionParams params{};
  std::vector<int32_t> offsets{0};
};

bool agree(const std::vector<float>& found, const std::vector<float>& wanted) {
  for (size_t i = 0; i < wanted.size(); ++i) {
    const bool is_near = found[i] == wanted[i] || std::abs(found[i] - wanted[i]) <= 3e-5f * (1 + std::abs(wanted[i]));
    if (!is_near) return false;
  }
  return true;
}

}  // namespace

TEST_SUITE_BEGIN("prefill attention");

TEST_CASE("every variant that this machine can run agrees with the reference, and gives the same bits each time") {
  HostStream stream;
  std::minstd_rand random(4);
  for (int round = 0; round < 100; ++round) {
    CAPTURE(round);
    const AttentionCase attention(random);
    Prompts prompts(random, attention.params);
    const auto wanted = prompts.run(HostVariant::reference, stream);
    for (const HostVariant variant : {HostVariant::portable, HostVariant::avx2, HostVariant::avx512}) {
      if (!can_run(variant)) continue;
      const auto found = prompts.run(variant, stream);
      REQUIRE(agree(found, wanted));
      REQUIRE(prompts.run(variant, stream) == found);
    }
  }
}

TEST_CASE("merging on all threads agrees with the reference") {
  HostStream stream;
  std::minstd_rand random(5);
  std::normal_distribution<float> normal;
  for (int round = 0; round < 50; ++round) {
    MergeAttentionParams params{};
    params.num_rows = pick(random, 0, 300);
    params.num_parts = static_cast<int32_t>(pick(random, 1, 5));
    params.width = static_cast<int32_t>(pick(random, 1, 70));
    std::vector<float> parts(static_cast<size_t>(params.num_rows * params.num_parts * params.width));
    std::vector<float> sums(static_cast<size_t>(params.num_rows * params.num_parts));
    for (float& each : parts) each = normal(random);
    for (float& each : sums) each = pick(random, 0, 2) == 0 ? -INFINITY : normal(random);
    params.parts = reinterpret_cast<const std::byte*>(parts.data());
    params.log_sum_exps = sums.data();
    const auto run = [&](bool is_reference) {
      std::vector<float> results(static_cast<size_t>(params.num_rows * (params.width + 1)), 12345);
      params.output = reinterpret_cast<std::byte*>(results.data());
      params.log_sum_exp = results.data() + params.num_rows * params.width;
      if (is_reference) {
        merge_attention_cpu(params);
      } else {
        run_merge_attention(params, stream);
        stream.synchronize();
      }
      return results;
    };
    REQUIRE(agree(run(false), run(true)));
  }
}

TEST_SUITE_END();

}  // namespace kv::test
