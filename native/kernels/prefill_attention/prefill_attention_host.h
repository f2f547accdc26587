#pragma once
#include <memory>
#include <vector>

#include "kernels/decode_attention/decode_attention_chunk.h"
#include "kernels/host/host_threads.h"
#include "kernels/prefill_attention/prefill_attention.h"

namespace kv {

/// One call of prefill attention on the host, with all the memory that it needs: running it allocates nothing.
///
/// All threads take from one list of tiles, each for one KV head: the query tokens at up to 16 neighbouring positions
/// of a sequence, which are a decode of that many query tokens. Tiles are cut at multiples of 16 of the position and
/// not of the query token, so that a token's result does not depend on how many tokens before it were prefilled
/// earlier.
class PrefillAttentionHost {
 public:
  PrefillAttentionHost(const PrefillAttentionParams& params, AttendChunk attend_chunk);

  void run() noexcept;
  const std::shared_ptr<HostThreads>& threads() const noexcept { return threads_; }

 private:
  /// Positions `begin` (a multiple of 16, or below 0) to `end` of a sequence.
  struct Tile {
    int64_t sequence;
    int64_t begin;
    int64_t end;
    int64_t head;  // of keys and values
  };

  void list_tiles();
  void attend_tile(const Tile& tile, int thread);
  DecodeAttentionParams as_decode(const Tile& tile, std::byte* queries) const;
  void load_queries(const Tile& tile, std::byte* queries) const;
  void write_tile(const Tile& tile, const PartialRows& sums) const;
  int64_t first_position(int64_t sequence) const { return p_.length_of(sequence) - p_.query_length_of(sequence); }

  PrefillAttentionParams p_;
  AttendChunk attend_chunk_;
  std::shared_ptr<HostThreads> threads_;
  int64_t rows_;  // of a tile
  int64_t key_width_;
  int64_t value_width_;
  std::vector<int64_t> first_tile_;  // [batch + 1]: where a sequence's tiles start in the list
  std::vector<float> scratch_;       // [threads][floats_per_thread_]
  std::vector<std::byte> staged_;    // [threads][bytes_per_thread_]
  size_t floats_per_thread_;
  size_t bytes_per_thread_;
};

}  // namespace kv
