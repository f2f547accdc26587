#include "kernels/decode_attention/decode_attention_host.h"

#include <algorithm>
#include <limits>

#include "kernels/host/partial_rows.h"

namespace kv {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Enough chunks of a wave for every thread that the last ones, when some threads have no more, weigh little.
constexpr int64_t kChunksPerThread = 64;
constexpr int64_t kMostPartialBytes = int64_t{64} << 20;
// Below this, adding up costs less than waking a thread.
constexpr int64_t kFloatsWorthSharing = 1 << 16;

}  // namespace

DecodeAttentionHost::DecodeAttentionHost(const DecodeAttentionParams& params, AttendChunk attend_chunk)
    : p_(params),
      attend_chunk_(attend_chunk),
      threads_(HostThreads::shared()),
      rows_per_head_(int64_t{params.query_length} * params.query_heads_per_kv_head()),
      num_rows_(rows_per_head_ * params.view.num_kv_heads),
      value_width_(padded_width(params.value_dim)),
      first_chunk_(static_cast<size_t>(params.batch) + 1) {
  const int64_t num_threads = threads_->num_threads();
  const int64_t slot_bytes = num_rows_ * (value_width_ + 2) * static_cast<int64_t>(sizeof(float));
  const int64_t most_chunks = p_.batch * std::max<int64_t>(1, (p_.capacity() - 1) / kChunkTokens + 2);
  const int64_t wanted = std::min({most_chunks, num_threads * kChunksPerThread, kMostPartialBytes / slot_bytes});
  num_slots_ = std::max<int64_t>(wanted, std::min(most_chunks, num_threads));
  partials_.resize(static_cast<size_t>((num_slots_ + 2) * slot_bytes) / sizeof(float));
  scratch_.resize(static_cast<size_t>(num_threads * num_rows_ * (padded_width(p_.key_dim) + kTileTokens)));
  const int64_t width = std::max<int64_t>(padded_width(p_.key_dim), value_width_);
  staged_.resize(static_cast<size_t>(num_threads * 4 * width * element_bytes(p_.cache_dtype)));
}

void DecodeAttentionHost::run() noexcept {
  list_chunks();
  const int64_t num_chunks = first_chunk_.back();
  bool is_odd = false;
  for (int64_t chunk = 0; chunk < num_chunks; chunk += num_slots_) {
    const int64_t end = std::min(chunk + num_slots_, num_chunks);
    attend(chunk, end);
    fold(chunk, end, is_odd);
    is_odd = !is_odd;
  }
}

/// The first position that any query token of a sequence sees.
int64_t DecodeAttentionHost::first_position(int64_t sequence) const {
  return p_.window_begin(std::max<int64_t>(p_.length_of(sequence) - p_.query_length, 0));
}

/// At least one, so that every sequence's rows are written.
int64_t DecodeAttentionHost::chunks_of(int64_t sequence) const {
  const int64_t end = (p_.length_of(sequence) + kChunkTokens - 1) / kChunkTokens;
  return std::max<int64_t>(1, end - first_position(sequence) / kChunkTokens);
}

void DecodeAttentionHost::list_chunks() {
  for (int32_t sequence = 0; sequence < p_.batch; ++sequence) {
    const auto i = static_cast<size_t>(sequence);
    first_chunk_[i + 1] = first_chunk_[i] + chunks_of(sequence);
  }
}

int64_t DecodeAttentionHost::sequence_of(int64_t chunk) const {
  return std::upper_bound(first_chunk_.begin(), first_chunk_.end(), chunk) - first_chunk_.begin() - 1;
}

PartialRows DecodeAttentionHost::partial(int64_t slot) {
  float* const start = partials_.data() + slot * num_rows_ * (value_width_ + 2);
  float* const greatest = start + num_rows_ * value_width_;
  return {.weighted = start, .greatest = greatest, .denominator = greatest + num_rows_};
}

void DecodeAttentionHost::attend(int64_t first_chunk, int64_t end_chunk) {
  const int64_t num_chunks = end_chunk - first_chunk;
  const int64_t num_heads = p_.view.num_kv_heads;
  const int64_t wanted_items = int64_t{4} * threads_->num_threads();
  parts_ = std::clamp<int64_t>((wanted_items + num_chunks - 1) / num_chunks, 1, num_heads);
  threads_->run(num_chunks * parts_, [&](int64_t item, int thread) {
    attend_item(first_chunk + item / parts_, item / parts_, item % parts_, thread);
  });
}

void DecodeAttentionHost::attend_item(int64_t chunk, int64_t wave_slot, int64_t part, int thread) {
  const int64_t sequence = sequence_of(chunk);
  const int64_t in_sequence = chunk - first_chunk_[static_cast<size_t>(sequence)];
  const int64_t begin = (first_position(sequence) / kChunkTokens + in_sequence) * kChunkTokens;
  const int64_t num_heads = p_.view.num_kv_heads;
  const int64_t key_width = padded_width(p_.key_dim);
  float* const queries = scratch_.data() + thread * num_rows_ * (key_width + kTileTokens);
  const int64_t staged_bytes = std::max(key_width, value_width_) * 4 * element_bytes(p_.cache_dtype);
  attend_chunk_(p_, {.sequence = sequence,
                     .begin = begin,
                     .end = begin + kChunkTokens,
                     .first_head = part * num_heads / parts_,
                     .end_head = (part + 1) * num_heads / parts_,
                     .to = partial(wave_slot),
                     .scratch = {.queries = queries,
                                 .logits = queries + num_rows_ * key_width,
                                 .staged = staged_.data() + thread * staged_bytes}});
}

/// Adds up the chunks of a wave and writes the sequences that end in it.
void DecodeAttentionHost::fold(int64_t first_chunk, int64_t end_chunk, bool is_odd) {
  const int64_t first_sequence = sequence_of(first_chunk);
  const int64_t num_sequences = sequence_of(end_chunk - 1) + 1 - first_sequence;
  const int64_t num_heads = p_.view.num_kv_heads;
  const auto fold_item = [&](int64_t item, int) {
    fold_head(first_sequence + item / num_heads, item % num_heads, first_chunk, end_chunk, is_odd);
  };
  const int64_t num_items = num_sequences * num_heads;
  if ((end_chunk - first_chunk) * num_rows_ * value_width_ < kFloatsWorthSharing) {
    for (int64_t item = 0; item < num_items; ++item) fold_item(item, 0);
  } else {
    threads_->run(num_items, fold_item);
  }
}

void DecodeAttentionHost::fold_head(int64_t sequence, int64_t head, int64_t first_chunk, int64_t end_chunk,
                                    bool is_odd) {
  const int64_t sequence_begin = first_chunk_[static_cast<size_t>(sequence)];
  const int64_t sequence_end = first_chunk_[static_cast<size_t>(sequence) + 1];
  const int64_t begin = std::max(first_chunk, sequence_begin);
  const int64_t end = std::min(end_chunk, sequence_end);
  // Two places to carry in, by turns: while one sequence reads the sums it left there, another leaves its own.
  const bool is_carried = sequence_begin < first_chunk;
  const PartialRows sums = partial(is_carried ? num_slots_ + (is_odd ? 0 : 1) : begin - first_chunk);
  const PartialRows left = partial(num_slots_ + (is_odd ? 1 : 0));
  for (int64_t row = head * rows_per_head_; row < (head + 1) * rows_per_head_; ++row) {
    float* const weighted = sums.weighted + row * value_width_;
    for (int64_t chunk = is_carried ? begin : begin + 1; chunk < end; ++chunk) {
      add_row(sums.row(row, value_width_), partial(chunk - first_chunk).row(row, value_width_), value_width_);
    }
    if (end == sequence_end) {
      finish_row(sequence, head, row - head * rows_per_head_, sums);
    } else {
      std::copy_n(weighted, value_width_, left.weighted + row * value_width_);
      left.greatest[row] = sums.greatest[row];
      left.denominator[row] = sums.denominator[row];
    }
  }
}

/// The sums of a row, its sink added, divided and in the type of the output.
void DecodeAttentionHost::finish_row(int64_t sequence, int64_t head, int64_t row, const PartialRows& from) const {
  const int64_t rows_per_token = p_.query_heads_per_kv_head();
  const int64_t query_head = head * rows_per_token + row % rows_per_token;
  const int64_t index = p_.row_of(sequence, row / rows_per_token, query_head);
  const float sink = p_.sinks == nullptr ? -kInfinity : p_.sinks[query_head];
  write_row({.output = p_.output + index * p_.value_dim * element_bytes(p_.output_dtype),
             .dtype = p_.output_dtype,
             .log_sum_exp = p_.log_sum_exp == nullptr ? nullptr : p_.log_sum_exp + index},
            from.row(head * rows_per_head_ + row, value_width_), sink, p_.value_dim);
}

}  // namespace kv
