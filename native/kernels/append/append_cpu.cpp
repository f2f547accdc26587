#include <cstring>

#include "kernels/append/append.h"

namespace kv {
namespace {

void write_token(const KvPlane& plane, const KvView& view, int64_t slot, const std::byte* token) {
  for (int64_t head = 0; head < view.num_kv_heads; ++head) {
    std::byte* to = plane.head(slot / view.tokens_per_block, slot % view.tokens_per_block, head);
    std::memcpy(to, token + head * plane.head_bytes, static_cast<size_t>(plane.head_bytes));
  }
}

}  // namespace

void append_cpu(const AppendParams& params) {
  const KvView& view = params.view;
  for (int64_t token = 0; token < params.num_tokens; ++token) {
    const int64_t slot = params.slot_of(token);
    // A slot past the end can only come from a mapping in device memory, which nobody could check before.
    if (slot < 0 || slot >= view.num_slots()) continue;
    write_token(view.keys, view, slot, params.keys + token * view.num_kv_heads * view.keys.head_bytes);
    write_token(view.values, view, slot, params.values + token * view.num_kv_heads * view.values.head_bytes);
  }
}

}  // namespace kv
