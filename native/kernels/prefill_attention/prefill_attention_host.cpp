#include "kernels/prefill_attention/prefill_attention_host.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace kv {
namespace {

constexpr int64_t kTileRows = kMaxQueryLength;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// Positions below 0 belong to query tokens that their sequence is too short for.
int64_t tile_of(int64_t position) {
  return position >= 0 ? position / kTileRows : -((-position + kTileRows - 1) / kTileRows);
}

}  // namespace

PrefillAttentionHost::PrefillAttentionHost(const PrefillAttentionParams& params, AttendChunk attend_chunk)
    : p_(params),
      attend_chunk_(attend_chunk),
      threads_(HostThreads::shared()),
      rows_(kTileRows * params.query_heads_per_kv_head()),
      key_width_(padded_width(params.key_dim)),
      value_width_(padded_width(params.value_dim)),
      first_tile_(static_cast<size_t>(params.batch) + 1),
      floats_per_thread_(static_cast<size_t>(rows_ * (2 * (value_width_ + 2) + key_width_ + kTileTokens))),
      bytes_per_thread_(static_cast<size_t>(4 * std::max(key_width_, value_width_) * element_bytes(p_.cache_dtype) +
                                            rows_ * p_.key_dim * element_bytes(p_.query_dtype))) {
  const auto num_threads = static_cast<size_t>(threads_->num_threads());
  scratch_.resize(num_threads * floats_per_thread_);
  staged_.resize(num_threads * bytes_per_thread_);
}

void PrefillAttentionHost::run() noexcept {
  list_tiles();
  const int64_t num_heads = p_.view.num_kv_heads;
  const int64_t num_items = first_tile_.back() * num_heads;
  threads_->run(num_items, [&](int64_t item, int thread) {
    // From the end: the last tiles of a sequence are its longest.
    const int64_t tile = (num_items - 1 - item) / num_heads;
    const int64_t sequence = std::upper_bound(first_tile_.begin(), first_tile_.end(), tile) - first_tile_.begin() - 1;
    const int64_t in_sequence = tile - first_tile_[static_cast<size_t>(sequence)];
    const int64_t begin = (tile_of(first_position(sequence)) + in_sequence) * kTileRows;
    const int64_t end = std::min(begin + kTileRows, p_.length_of(sequence));
    attend_tile({sequence, begin, end, item % num_heads}, thread);
  });
}

void PrefillAttentionHost::list_tiles() {
  for (int32_t sequence = 0; sequence < p_.batch; ++sequence) {
    const auto i = static_cast<size_t>(sequence);
    const int64_t end_tile = tile_of(p_.length_of(sequence) + kTileRows - 1);
    const int64_t num_tiles = p_.query_length_of(sequence) == 0 ? 0 : end_tile - tile_of(first_position(sequence));
    first_tile_[i + 1] = first_tile_[i] + num_tiles;
  }
}

void PrefillAttentionHost::attend_tile(const Tile& tile, int thread) {
  float* const floats = scratch_.data() + static_cast<size_t>(thread) * floats_per_thread_;
  std::byte* const bytes = staged_.data() + static_cast<size_t>(thread) * bytes_per_thread_;
  const auto partial = [&](float* start) {
    return PartialRows{start, start + rows_ * value_width_, start + rows_ * (value_width_ + 1)};
  };
  const PartialRows sums = partial(floats);
  const PartialRows more = partial(floats + rows_ * (value_width_ + 2));
  float* const queries = floats + rows_ * 2 * (value_width_ + 2);
  std::byte* const loaded = bytes + 4 * std::max(key_width_, value_width_) * element_bytes(p_.cache_dtype);
  load_queries(tile, loaded);
  const DecodeAttentionParams decode = as_decode(tile, loaded);
  const int64_t first = decode.window_begin(std::max<int64_t>(tile.begin, 0)) / kChunkTokens * kChunkTokens;
  for (int64_t begin = first; begin == first || begin < tile.end; begin += kChunkTokens) {
    attend_chunk_(decode, {.sequence = 0,
                           .begin = begin,
                           .end = begin + kChunkTokens,
                           .first_head = 0,
                           .end_head = 1,
                           .to = begin == first ? sums : more,
                           .scratch = {queries, queries + rows_ * key_width_, bytes}});
    if (begin == first) continue;
    for (int64_t row = 0; row < decode.query_length * p_.query_heads_per_kv_head(); ++row) {
      add_row(sums.row(row, value_width_), more.row(row, value_width_), value_width_);
    }
  }
  write_tile(tile, sums);
}

/// The tile's queries of its head; zeros for positions of tokens that were prefilled earlier.
void PrefillAttentionHost::load_queries(const Tile& tile, std::byte* queries) const {
  const int64_t heads = p_.query_heads_per_kv_head();
  const int64_t bytes = heads * p_.key_dim * element_bytes(p_.query_dtype);
  for (int64_t position = tile.begin; position < tile.end; ++position, queries += bytes) {
    const int64_t in_sequence = position - first_position(tile.sequence);
    if (in_sequence < 0) {
      std::memset(queries, 0, static_cast<size_t>(bytes));
      continue;
    }
    const int64_t row = p_.row_of(p_.query_begin(tile.sequence) + in_sequence, tile.head * heads);
    std::memcpy(queries, p_.query + row * (bytes / heads), static_cast<size_t>(bytes));
  }
}

/// The tile as a batch of one sequence, which ends with it, and one KV head.
DecodeAttentionParams PrefillAttentionHost::as_decode(const Tile& tile, std::byte* queries) const {
  DecodeAttentionParams decode{};
  decode.view = p_.view;
  decode.view.num_kv_heads = 1;
  decode.view.keys.base += tile.head * p_.view.keys.head_stride_bytes;
  decode.view.values.base += tile.head * p_.view.values.head_stride_bytes;
  if (p_.block_tables == nullptr) {
    decode.view.keys.base += tile.sequence * p_.view.keys.block_stride_bytes;
    decode.view.values.base += tile.sequence * p_.view.values.block_stride_bytes;
    decode.view.num_blocks = 1;
  } else {
    decode.block_tables = p_.block_tables + tile.sequence * p_.max_blocks;
  }
  decode.query = queries;
  decode.sequence_length = static_cast<int32_t>(tile.end);
  decode.max_blocks = p_.max_blocks;
  decode.batch = 1;
  decode.query_length = static_cast<int32_t>(tile.end - tile.begin);
  decode.num_query_heads = p_.query_heads_per_kv_head();
  decode.key_dim = p_.key_dim;
  decode.value_dim = p_.value_dim;
  decode.window_tokens = p_.window_tokens;
  decode.softmax_scale = p_.softmax_scale;
  decode.soft_cap = p_.soft_cap;
  decode.cache_dtype = p_.cache_dtype;
  decode.query_dtype = p_.query_dtype;
  return decode;
}

void PrefillAttentionHost::write_tile(const Tile& tile, const PartialRows& sums) const {
  const int64_t heads = p_.query_heads_per_kv_head();
  const int64_t first = first_position(tile.sequence);
  for (int64_t position = std::max(tile.begin, first); position < tile.end; ++position) {
    for (int64_t head = 0; head < heads; ++head) {
      const int64_t query_head = tile.head * heads + head;
      const int64_t index = p_.row_of(p_.query_begin(tile.sequence) + position - first, query_head);
      write_row({.output = p_.output + index * p_.value_dim * element_bytes(p_.output_dtype),
                 .dtype = p_.output_dtype,
                 .log_sum_exp = p_.log_sum_exp == nullptr ? nullptr : p_.log_sum_exp + index},
                sums.row((position - tile.begin) * heads + head, value_width_),
                p_.sinks == nullptr ? -kInfinity : p_.sinks[query_head], p_.value_dim);
    }
  }
}

}  // namespace kv
