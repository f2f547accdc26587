#pragma once
#include "kernels/kv_view.h"
#include "memory/backend.h"

namespace kv {

/// All that append reads: filled once by the binding, read by both implementations.
struct AppendParams {
  KvView view;
  const std::byte* keys;        // [num_tokens, num_kv_heads, key width]
  const std::byte* values;      // [num_tokens, num_kv_heads, value width]
  const int32_t* slot_mapping;  // [num_tokens], negative skips the token; null: slots from first_slot on
  int64_t first_slot;
  int32_t num_tokens;

  KV_DEVICE int64_t slot_of(int64_t token) const {
    return slot_mapping == nullptr ? first_slot + token : slot_mapping[token];
  }
};

/// What append means, one token at a time. The CUDA kernel must agree bit for bit.
void append_cpu(const AppendParams& params);

/// Queues append on a stream, of either kind.
void run_append(const AppendParams& params, Stream& stream);

}  // namespace kv
