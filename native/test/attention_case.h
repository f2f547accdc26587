#pragma once
#include <cstddef>
#include <memory>
#include <random>
#include <vector>

#include "kernels/decode_attention/decode_attention.h"

namespace kv::test {

/// A random cache and a batch of queries over it, of any shape that decode attention takes. Every byte that no sequence
/// owns is part of a NaN, and so is every byte of the results.
struct AttentionCase {
  explicit AttentionCase(std::minstd_rand& random);
  /// Three long sequences of narrow heads.
  static std::unique_ptr<AttentionCase> of_length(std::minstd_rand& random, int32_t tokens);
  AttentionCase(const AttentionCase&) = delete;
  AttentionCase& operator=(const AttentionCase&) = delete;

  /// The results of a run, poisoned again before the next.
  struct Results {
    std::vector<std::byte> output;
    std::vector<float> log_sum_exp;
    bool operator==(const Results& other) const;
  };
  Results run(HostVariant variant, Stream& stream);
  /// As run(), for one sequence in a batch of its own: the same bytes as in the whole batch, or it depends on others.
  Results run_alone(int32_t sequence, HostVariant variant, Stream& stream);
  /// One sequence's part of the results of all.
  Results part_of(const Results& all, int32_t sequence) const;
  std::vector<float> output_of(const Results& results) const;

  DecodeAttentionParams params{};

 private:
  AttentionCase() = default;
  void make_planes(bool is_token_major);
  void lay_cache(std::minstd_rand& random);
  void fill_sequences(std::minstd_rand& random);
  void choose_options(std::minstd_rand& random);
  Results run_params(DecodeAttentionParams used, HostVariant variant, Stream& stream) const;

  std::vector<std::byte> cache_;
  std::vector<std::byte> query_;
  std::vector<int32_t> lengths_;
  std::vector<int32_t> tables_;
  std::vector<int32_t> masks_;
  std::vector<float> sinks_;
  std::vector<float> slopes_;
};

}  // namespace kv::test
