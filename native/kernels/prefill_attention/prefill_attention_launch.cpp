#include "kernels/host/host_call.h"
#include "kernels/prefill_attention/prefill_attention.h"
#include "kernels/prefill_attention/prefill_attention_host.h"
#include "memory/host_stream.h"

namespace kv {

void run_prefill_attention(const PrefillAttentionParams& params, HostVariant variant, Stream& stream) {
  if (params.batch == 0 || params.num_query_tokens == 0) return;
  if (dynamic_cast<HostStream*>(&stream) == nullptr) return run_prefill_attention_cuda(params, stream);
  if (variant == HostVariant::reference) {
    return launch_reference<PrefillAttentionParams, prefill_attention_cpu>("prefill_attention", params, stream);
  }
  const AttendChunk attend_chunk = attend_chunk_for(variant, params.cache_dtype);
  launch_on_threads("prefill_attention", std::make_shared<PrefillAttentionHost>(params, attend_chunk), stream);
}

}  // namespace kv
