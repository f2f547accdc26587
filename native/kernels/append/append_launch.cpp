#include "kernels/append/append.h"
#include "kernels/copy_words.h"

namespace kv {
namespace {

const char* kernel_for(int word_bytes) {
  switch (word_bytes) {
    case 16:
      return "append_16";
    case 8:
      return "append_8";
    case 4:
      return "append_4";
    case 2:
      return "append_2";
    default:
      return "append_1";
  }
}

}  // namespace

void run_append(const AppendParams& params, Stream& stream) {
  if (params.num_tokens == 0) return;
  const int bytes =
      word_bytes(params.view, {reinterpret_cast<uintptr_t>(params.keys), reinterpret_cast<uintptr_t>(params.values)});
  const int64_t words = int64_t{params.view.num_kv_heads} * params.view.keys.head_bytes / bytes;
  stream.launch({.name = kernel_for(bytes),
                 .num_thread_blocks = {static_cast<unsigned>(params.num_tokens), 1, 1},
                 .num_threads = threads_for(words),
                 .params = &params,
                 .params_bytes = sizeof params,
                 .on_host = [](const void* p) { append_cpu(*static_cast<const AppendParams*>(p)); },
                 .waits_itself = true});
}

}  // namespace kv
