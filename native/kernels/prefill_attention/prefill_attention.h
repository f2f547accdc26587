#pragma once
#include "kernels/element.h"
#include "kernels/host/host_variant.h"
#include "kernels/kv_view.h"
#include "memory/backend.h"

namespace kv {

/// All that prefill attention reads: filled once by the binding, read by every implementation.
///
/// The query tokens of all sequences stand one after another: those of sequence s are query_offsets[s] up to
/// query_offsets[s + 1]. They are the last tokens of their sequence, whose keys and values are in the cache already:
/// with n query tokens, token i stands at position length - n + i. It sees the tokens up to itself; in a window only
/// the last window_tokens of them, itself included. A query token that the sequence is too short for sees nothing. Rows
/// of query tokens that belong to no sequence are not written.
///
/// For what it sees: logit = cap(softmax_scale * q . k), where cap(x) = soft_cap * tanh(x / soft_cap). The output is
/// the sum of the values weighted by softmax(logit), to whose denominator the head's sink adds exp(sink). Nothing seen:
/// zeros, and a log-sum-exp of the sink or of -infinity.
struct PrefillAttentionParams {
  KvView view;
  const std::byte* query;           // [num_query_tokens, num_query_heads, key_dim] of query_dtype
  std::byte* output;                // [num_query_tokens, num_query_heads, value_dim] of output_dtype
  float* log_sum_exp;               // [num_query_tokens, num_query_heads], natural, sink included; or null
  const int32_t* query_offsets;     // [batch + 1], not decreasing, the first is 0
  const int32_t* sequence_lengths;  // [batch], query tokens included
  const int32_t* block_tables;      // [batch, max_blocks]; null: sequence i is block i
  const float* sinks;               // [num_query_heads], or null
  int32_t num_query_tokens;
  int32_t max_blocks;
  int32_t batch;
  int32_t num_query_heads;  // a multiple of view.num_kv_heads
  int32_t key_dim;
  int32_t value_dim;
  int32_t window_tokens;  // 0: no window
  float softmax_scale;
  float soft_cap;  // 0: none
  Dtype cache_dtype;
  Dtype query_dtype;
  Dtype output_dtype;

  KV_DEVICE int32_t query_heads_per_kv_head() const { return num_query_heads / view.num_kv_heads; }

  /// Tokens that a sequence has room for.
  KV_DEVICE int64_t capacity() const {
    return block_tables == nullptr ? view.tokens_per_block : int64_t{max_blocks} * view.tokens_per_block;
  }

  /// Lengths and offsets lie in device memory, where nobody could check them before: one past the end is the end.
  KV_DEVICE int64_t length_of(int64_t sequence) const {
    const int64_t length = sequence_lengths[sequence];
    return length < 0 ? 0 : length < capacity() ? length : capacity();
  }

  /// The first query token of a sequence, and of `batch` the end of the last one's.
  KV_DEVICE int32_t query_begin(int64_t sequence) const {
    const int32_t begin = query_offsets[sequence];
    return begin < 0 ? 0 : begin < num_query_tokens ? begin : num_query_tokens;
  }

  KV_DEVICE int32_t query_length_of(int64_t sequence) const {
    const int32_t length = query_begin(sequence + 1) - query_begin(sequence);
    return length < 0 ? 0 : length;
  }

  /// The block of a position, or -1 when the table names none that the view has; its tokens are seen by nobody.
  KV_DEVICE int64_t block_of(int64_t sequence, int64_t position) const {
    const int64_t block =
        block_tables == nullptr ? sequence : block_tables[sequence * max_blocks + position / view.tokens_per_block];
    return block >= 0 && block < view.num_blocks ? block : -1;
  }

  /// The first position in a query token's window.
  KV_DEVICE int64_t window_begin(int64_t query_position) const {
    const int64_t begin = query_position - window_tokens + 1;
    return window_tokens == 0 || begin < 0 ? 0 : begin;
  }

  /// Where a query token's row of a head stands among those of the whole batch; query tokens count through it.
  KV_DEVICE int64_t row_of(int64_t query_token, int64_t query_head) const {
    return query_token * num_query_heads + query_head;
  }
};

/// What prefill attention means, one row at a time. Every other implementation agrees within rounding.
void prefill_attention_cpu(const PrefillAttentionParams& params);

/// Queues prefill attention on a stream, of either kind; the variant says how on the host.
void run_prefill_attention(const PrefillAttentionParams& params, HostVariant variant, Stream& stream);

/// Queues it on a stream of a GPU.
void run_prefill_attention_cuda(const PrefillAttentionParams& params, Stream& stream);

}  // namespace kv
