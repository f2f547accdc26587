#pragma once
#include "kernels/element.h"
#include "kernels/host/host_variant.h"
#include "kernels/kv_view.h"
#include "memory/backend.h"

namespace kv {

/// All that decode attention reads: filled once by the binding, read by every implementation.
///
/// A sequence's last query_length tokens are its query tokens: query token i stands at position
/// length - query_length + i. It sees the tokens up to itself, or the query tokens that its mask names; in a window
/// only the last window_tokens of them, itself included. A query token that the sequence is too short for sees nothing.
///
/// For what it sees: logit = cap(softmax_scale * q . k) + slope * (position of the key - its own), where
/// cap(x) = soft_cap * tanh(x / soft_cap). The output is the sum of the values weighted by softmax(logit), to whose
/// denominator the head's sink adds exp(sink). Nothing seen: zeros, and a log-sum-exp of the sink or of -infinity.
struct DecodeAttentionParams {
  KvView view;
  const std::byte* query;           // [batch, query_length, num_query_heads, key_dim] of query_dtype
  std::byte* output;                // [batch, query_length, num_query_heads, value_dim] of output_dtype
  float* log_sum_exp;               // [batch, query_length, num_query_heads], natural, sink included; or null
  const int32_t* sequence_lengths;  // [batch], query tokens included; null: sequence_length each
  const int32_t* block_tables;      // [batch, max_blocks]; null: sequence i is block i
  const float* sinks;               // [num_query_heads], or null
  const float* alibi_slopes;        // [num_query_heads], or null
  const int32_t* query_masks;       // [batch, query_length], bit j: sees query token j; null: causal
  int32_t sequence_length;
  int32_t max_blocks;
  int32_t batch;
  int32_t query_length;     // 1 to 16
  int32_t num_query_heads;  // a multiple of view.num_kv_heads
  int32_t key_dim;
  int32_t value_dim;
  int32_t window_tokens;  // 0: no window
  float softmax_scale;
  float soft_cap;  // 0: none
  Dtype cache_dtype;
  Dtype query_dtype;
  Dtype output_dtype;
  bool is_batch_invariant;  // a sequence's result is to have the same bits whatever else is in the batch

  KV_DEVICE int32_t query_heads_per_kv_head() const { return num_query_heads / view.num_kv_heads; }

  /// Tokens that a sequence has room for.
  KV_DEVICE int64_t capacity() const {
    return block_tables == nullptr ? view.tokens_per_block : int64_t{max_blocks} * view.tokens_per_block;
  }

  /// Lengths lie in device memory, where nobody could check them before: one past the end is the end.
  KV_DEVICE int64_t length_of(int64_t sequence) const {
    const int64_t length = sequence_lengths == nullptr ? sequence_length : sequence_lengths[sequence];
    return length < 0 ? 0 : length < capacity() ? length : capacity();
  }

  /// What the table names as the block of a position.
  KV_DEVICE int32_t named_block(int64_t sequence, int64_t position) const {
    // Positions have 32 bits, and the division of 64 takes five times as long.
    const uint32_t index = static_cast<uint32_t>(position) / static_cast<uint32_t>(view.tokens_per_block);
    return block_tables == nullptr ? static_cast<int32_t>(sequence) : block_tables[sequence * max_blocks + index];
  }

  /// The block of a position, or -1 when the table names none that the view has; its tokens are seen by nobody.
  KV_DEVICE int64_t block_of(int64_t sequence, int64_t position) const {
    const int64_t block = named_block(sequence, position);
    return block >= 0 && block < view.num_blocks ? block : -1;
  }

  /// The first position in a query token's window.
  KV_DEVICE int64_t window_begin(int64_t query_position) const {
    const int64_t begin = query_position - window_tokens + 1;
    return window_tokens == 0 || begin < 0 ? 0 : begin;
  }

  /// Whether a query token sees a position from 0 to length - 1.
  KV_DEVICE bool sees(int64_t sequence, int64_t length, int64_t query_token, int64_t position) const {
    const int64_t first_query = length - query_length;
    const int64_t query_position = first_query + query_token;
    if (query_position < 0 || position < window_begin(query_position)) return false;
    if (position < first_query) return true;
    if (query_masks == nullptr) return position <= query_position;
    return (query_masks[sequence * query_length + query_token] >> (position - first_query) & 1) != 0;
  }

  /// Where a query token's row of a head stands among those of the whole batch.
  KV_DEVICE int64_t row_of(int64_t sequence, int64_t query_token, int64_t query_head) const {
    return (sequence * query_length + query_token) * num_query_heads + query_head;
  }
};

constexpr int32_t kMaxQueryLength = 16;

/// What decode attention means, one row at a time. Every other implementation agrees within rounding.
void decode_attention_cpu(const DecodeAttentionParams& params);

/// Queues decode attention on a stream, of either kind; the variant says how on the host.
void run_decode_attention(const DecodeAttentionParams& params, HostVariant variant, Stream& stream);

/// Queues it on a stream of a GPU.
void run_decode_attention_cuda(const DecodeAttentionParams& params, Stream& stream);

}  // namespace kv
