#include <algorithm>

#include "kernels/append_rotary/append_rotary.h"
#include "kernels/append_rotary/append_rotary_host.h"
#include "kernels/copy_words.h"
#include "kernels/host/host_call.h"
#include "memory/host_stream.h"

namespace kv {
namespace {

/// 16, 8, or 1 where the words of a head's halves, or an address, are no multiples of these.
int word_bytes_of(const AppendRotaryParams& p) {
  const auto half_bytes = [&](Dtype dtype) { return static_cast<uintptr_t>(p.width / 2 * element_bytes(dtype)); };
  uintptr_t query = reinterpret_cast<uintptr_t>(p.query) | reinterpret_cast<uintptr_t>(p.rotated_query);
  if (p.query != nullptr) query |= half_bytes(p.query_dtype) | static_cast<uintptr_t>(p.query_offset_bytes(1));
  if (p.query != nullptr) query |= static_cast<uintptr_t>(int64_t{p.key_dim} * element_bytes(p.query_dtype));
  const int bytes =
      word_bytes(p.append.view, {reinterpret_cast<uintptr_t>(p.append.keys),
                                 reinterpret_cast<uintptr_t>(p.append.values), half_bytes(p.cache_dtype), query});
  return bytes >= 8 ? bytes : 1;
}

const char* kernel_for(int word_bytes) {
  switch (word_bytes) {
    case 16:
      return "append_rotary_16";
    case 8:
      return "append_rotary_8";
    default:
      return "append_rotary_1";
  }
}

}  // namespace

void run_append_rotary(const AppendRotaryParams& params, Stream& stream) {
  if (params.append.num_tokens == 0) return;
  if (dynamic_cast<HostStream*>(&stream) != nullptr) {
    return launch_on_threads("append_rotary", std::make_shared<AppendRotaryHost>(params), stream);
  }
  const int bytes = word_bytes_of(params);
  const int64_t num_heads =
      std::max(params.query == nullptr ? 0 : params.num_query_heads, params.append.view.num_kv_heads);
  const int64_t words_per_half = int64_t{params.width} / 2 * element_bytes(params.cache_dtype) / bytes;
  stream.launch({.name = kernel_for(bytes),
                 .num_thread_blocks = {static_cast<unsigned>(params.append.num_tokens), 1, 1},
                 .num_threads = threads_for(num_heads * words_per_half),
                 .params = &params,
                 .params_bytes = sizeof params,
                 .on_host = [](const void* p) { append_rotary_cpu(*static_cast<const AppendRotaryParams*>(p)); },
                 .shared_bytes = static_cast<unsigned>(params.width) * static_cast<unsigned>(sizeof(float)),
                 .waits_itself = true});
}

}  // namespace kv
