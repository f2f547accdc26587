#include <algorithm>

#include "kernels/copy_words.h"
#include "kernels/host/host_call.h"
#include "kernels/merge_attention/merge_attention.h"
#include "kernels/merge_attention/merge_attention_host.h"
#include "memory/host_stream.h"

namespace kv {

void run_merge_attention(const MergeAttentionParams& params, Stream& stream) {
  if (params.num_rows == 0) return;
  if (dynamic_cast<HostStream*>(&stream) != nullptr) {
    return launch_on_threads("merge_attention", std::make_shared<MergeAttentionHost>(params), stream);
  }
  constexpr int64_t most_thread_blocks = 65536;
  stream.launch({.name = "merge_attention",
                 .num_thread_blocks = {static_cast<unsigned>(std::min(params.num_rows, most_thread_blocks)), 1, 1},
                 .num_threads = threads_for(params.width),
                 .params = &params,
                 .params_bytes = sizeof params,
                 .on_host = [](const void* p) { merge_attention_cpu(*static_cast<const MergeAttentionParams*>(p)); }});
}

}  // namespace kv
