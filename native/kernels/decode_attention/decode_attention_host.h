#pragma once
#include <memory>
#include <vector>

#include "kernels/decode_attention/decode_attention_chunk.h"
#include "kernels/host/host_threads.h"

namespace kv {

/// One call of decode attention on the host, with all the memory that it needs: running it allocates nothing.
///
/// Chunks of all sequences stand in one list, which all threads take from, a wave at a time: as many as there is room
/// for partial rows. After each wave, the rows of its sequences are added up. One sequence can reach into the next
/// wave; its sums so far are carried there.
class DecodeAttentionHost {
 public:
  DecodeAttentionHost(const DecodeAttentionParams& params, AttendChunk attend_chunk);

  void run() noexcept;
  const std::shared_ptr<HostThreads>& threads() const noexcept { return threads_; }

 private:
  int64_t chunks_of(int64_t sequence) const;
  int64_t first_position(int64_t sequence) const;
  void list_chunks();
  void attend(int64_t first_chunk, int64_t end_chunk);
  void attend_item(int64_t chunk, int64_t wave_slot, int64_t part, int thread);
  void fold(int64_t first_chunk, int64_t end_chunk, bool is_odd);
  void fold_head(int64_t sequence, int64_t head, int64_t first_chunk, int64_t end_chunk, bool is_odd);
  void finish_row(int64_t sequence, int64_t head, int64_t row, const PartialRows& from) const;
  int64_t sequence_of(int64_t chunk) const;
  PartialRows partial(int64_t slot);

  DecodeAttentionParams p_;
  AttendChunk attend_chunk_;
  std::shared_ptr<HostThreads> threads_;
  int64_t rows_per_head_;
  int64_t num_rows_;
  int64_t value_width_;
  int64_t num_slots_;                 // chunks of a wave; two more slots carry the sums of a sequence from wave to wave
  int64_t parts_ = 1;                 // of the heads, for the chunks of a wave that has too few for the threads
  std::vector<int64_t> first_chunk_;  // [batch + 1]: where a sequence's chunks start in the list
  std::vector<float> partials_;       // [slots + 2][rows][padded value width + 2]
  std::vector<float> scratch_;        // [threads][rows][padded key width + tile]
  std::vector<std::byte> staged_;     // [threads][4][padded greater width] elements
};

}  // namespace kv
