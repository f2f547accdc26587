#include "test/attention_case.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "test/random_view.h"

namespace kv::test {
namespace {

constexpr std::byte kPoison{0xff};

Dtype random_dtype(std::minstd_rand& random) {
  return static_cast<Dtype>(pick(random, 0, 2));
}

int32_t pick32(std::minstd_rand& random, int32_t least, int32_t most) {
  return static_cast<int32_t>(pick(random, least, most));
}

float random_float(std::minstd_rand& random) {
  return std::normal_distribution<float>()(random);
}

void fill_row(std::minstd_rand& random, Dtype dtype, std::byte* row, int64_t width) {
  for (int64_t i = 0; i < width; ++i) store_element(dtype, row, i, random_float(random));
}

}  // namespace

AttentionCase::AttentionCase(std::minstd_rand& random) {
  const int32_t widths[] = {1, 7, 16, 33, 64, 80, 96};
  params.key_dim = widths[pick(random, 0, 6)];
  params.value_dim = pick(random, 0, 1) == 0 ? params.key_dim : widths[pick(random, 0, 6)];
  params.cache_dtype = random_dtype(random);
  params.query_dtype = random_dtype(random);
  params.output_dtype = random_dtype(random);
  params.batch = pick32(random, 1, 5);
  params.query_length = pick(random, 0, 1) == 0 ? 1 : pick32(random, 1, 16);
  params.softmax_scale = 1.0f / static_cast<float>(pick(random, 1, 8));
  lay_cache(random);
  fill_sequences(random);
  choose_options(random);
}

std::unique_ptr<AttentionCase> AttentionCase::of_length(std::minstd_rand& random, int32_t tokens) {
  std::unique_ptr<AttentionCase> made(new AttentionCase);
  DecodeAttentionParams& params = made->params;
  params.key_dim = params.value_dim = 8;
  params.batch = 3;
  params.query_length = params.max_blocks = 1;
  params.num_query_heads = params.view.num_kv_heads = 1;
  params.softmax_scale = 0.1f;
  params.view.num_blocks = params.batch;
  params.view.tokens_per_block = tokens;
  made->make_planes(true);
  made->fill_sequences(random);
  made->choose_options(random);
  std::fill(made->lengths_.begin(), made->lengths_.end(), tokens);
  fill_row(random, params.cache_dtype, made->cache_.data(), static_cast<int64_t>(made->cache_.size()) / 4);
  return made;
}

void AttentionCase::lay_cache(std::minstd_rand& random) {
  KvView& view = params.view;
  const bool is_paged = pick(random, 0, 2) > 0;
  view.num_kv_heads = pick32(random, 1, 3);
  params.num_query_heads = view.num_kv_heads * pick32(random, 1, pick(random, 0, 3) == 0 ? 16 : 4);
  view.tokens_per_block = is_paged ? pick32(random, 1, 40) : pick32(random, 1, 600);
  params.max_blocks = is_paged ? pick32(random, 1, 20) : 1;
  view.num_blocks = int64_t{params.batch} * params.max_blocks + 1;
  make_planes(pick(random, 0, 1) == 0);
  if (!is_paged) return;
  tables_.resize(static_cast<size_t>(params.batch) * static_cast<size_t>(params.max_blocks));
  std::iota(tables_.begin(), tables_.end(), 1);
  std::shuffle(tables_.begin(), tables_.end(), random);
  params.block_tables = tables_.data();
}

void AttentionCase::make_planes(bool is_token_major) {
  KvView& view = params.view;
  const auto plane_of = [&](int64_t width) {
    KvPlane plane{};
    plane.head_bytes = static_cast<int32_t>(width * element_bytes(params.cache_dtype));
    plane.token_stride_bytes = plane.head_bytes * (is_token_major ? int64_t{view.num_kv_heads} : 1);
    plane.head_stride_bytes = plane.head_bytes * (is_token_major ? 1 : int64_t{view.tokens_per_block});
    plane.block_stride_bytes = int64_t{plane.head_bytes} * view.num_kv_heads * view.tokens_per_block;
    return plane;
  };
  view.keys = plane_of(params.key_dim);
  view.values = plane_of(params.value_dim);
  const int64_t key_bytes = view.num_blocks * view.keys.block_stride_bytes;
  cache_.assign(static_cast<size_t>(key_bytes + view.num_blocks * view.values.block_stride_bytes), kPoison);
  view.keys.base = cache_.data();
  view.values.base = cache_.data() + key_bytes;
}

void AttentionCase::fill_sequences(std::minstd_rand& random) {
  const auto capacity = static_cast<int32_t>(params.capacity());
  for (int32_t sequence = 0; sequence < params.batch; ++sequence) {
    const int32_t length =
        pick(random, 0, 3) == 0 ? pick32(random, 0, std::min(capacity, 3)) : pick32(random, 0, capacity);
    for (int32_t position = 0; position < length; ++position) {
      const int64_t block = params.block_of(sequence, position);
      for (int32_t head = 0; head < params.view.num_kv_heads; ++head) {
        const int32_t token = position % params.view.tokens_per_block;
        fill_row(random, params.cache_dtype, params.view.keys.head(block, token, head), params.key_dim);
        fill_row(random, params.cache_dtype, params.view.values.head(block, token, head), params.value_dim);
      }
    }
    // What stands in a table past a sequence's end means nothing.
    for (int32_t i = (length + params.view.tokens_per_block - 1) / params.view.tokens_per_block;
         !tables_.empty() && i < params.max_blocks; ++i) {
      const int32_t nothing[] = {-1, INT32_MAX, static_cast<int32_t>(params.view.num_blocks)};
      tables_[static_cast<size_t>(sequence * params.max_blocks + i)] = nothing[pick(random, 0, 2)];
    }
    lengths_.push_back(length);
  }
  // A length past the end is the end.
  if (lengths_[0] == capacity) lengths_[0] = INT32_MAX;
  params.sequence_lengths = lengths_.data();
}

void AttentionCase::choose_options(std::minstd_rand& random) {
  const int64_t num_rows = int64_t{params.batch} * params.query_length * params.num_query_heads;
  query_.resize(static_cast<size_t>(num_rows * params.key_dim * element_bytes(params.query_dtype)));
  fill_row(random, params.query_dtype, query_.data(), num_rows * params.key_dim);
  params.query = query_.data();
  if (pick(random, 0, 2) == 0) params.window_tokens = pick32(random, 1, 300);
  if (pick(random, 0, 2) == 0) params.soft_cap = static_cast<float>(pick(random, 1, 30));
  for (int32_t head = 0; head < params.num_query_heads; ++head) {
    sinks_.push_back(random_float(random));
    slopes_.push_back(0.1f * random_float(random));
  }
  if (pick(random, 0, 2) == 0) params.sinks = sinks_.data();
  if (pick(random, 0, 2) == 0) params.alibi_slopes = slopes_.data();
  for (int32_t i = 0; i < params.batch * params.query_length; ++i) masks_.push_back(static_cast<int32_t>(random()));
  if (pick(random, 0, 3) == 0) params.query_masks = masks_.data();
}

bool AttentionCase::Results::operator==(const Results& other) const {
  return output == other.output &&
         std::memcmp(log_sum_exp.data(), other.log_sum_exp.data(), log_sum_exp.size() * sizeof(float)) == 0;
}

AttentionCase::Results AttentionCase::run(HostVariant variant, Stream& stream) {
  return run_params(params, variant, stream);
}

AttentionCase::Results AttentionCase::run_alone(int32_t sequence, HostVariant variant, Stream& stream) {
  DecodeAttentionParams alone = params;
  const int64_t rows = int64_t{params.query_length} * params.num_query_heads;
  alone.batch = 1;
  alone.query += sequence * rows * params.key_dim * element_bytes(params.query_dtype);
  alone.sequence_lengths += sequence;
  if (alone.block_tables != nullptr) alone.block_tables += int64_t{sequence} * params.max_blocks;
  if (alone.query_masks != nullptr) alone.query_masks += int64_t{sequence} * params.query_length;
  if (alone.block_tables == nullptr) {
    alone.view.keys.base += sequence * alone.view.keys.block_stride_bytes;
    alone.view.values.base += sequence * alone.view.values.block_stride_bytes;
    alone.view.num_blocks -= sequence;
  }
  return run_params(alone, variant, stream);
}

AttentionCase::Results AttentionCase::run_params(DecodeAttentionParams used, HostVariant variant,
                                                 Stream& stream) const {
  const int64_t rows = int64_t{used.batch} * used.query_length * used.num_query_heads;
  Results results;
  results.output.assign(static_cast<size_t>(rows * used.value_dim * element_bytes(used.output_dtype)), kPoison);
  results.log_sum_exp.assign(static_cast<size_t>(rows), float_of(UINT32_MAX));
  used.output = results.output.data();
  used.log_sum_exp = results.log_sum_exp.data();
  run_decode_attention(used, variant, stream);
  stream.synchronize();
  return results;
}

AttentionCase::Results AttentionCase::part_of(const Results& all, int32_t sequence) const {
  const auto output_size = static_cast<int64_t>(all.output.size()) / params.batch;
  const auto rows = static_cast<int64_t>(all.log_sum_exp.size()) / params.batch;
  return {{all.output.begin() + sequence * output_size, all.output.begin() + (sequence + 1) * output_size},
          {all.log_sum_exp.begin() + sequence * rows, all.log_sum_exp.begin() + (sequence + 1) * rows}};
}

std::vector<float> AttentionCase::output_of(const Results& results) const {
  std::vector<float> values(results.output.size() / static_cast<size_t>(element_bytes(params.output_dtype)));
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = load_element(params.output_dtype, results.output.data(), static_cast<int64_t>(i));
  }
  return values;
}

}  // namespace kv::test
