#include "kernels/decode_attention/decode_attention.h"
#include "kernels/decode_attention/decode_attention_host.h"
#include "kernels/host/host_call.h"
#include "kernels/host/target.h"
#include "memory/host_stream.h"

namespace kv {

AttendChunk attend_chunk_for(HostVariant variant, Dtype dtype) {
  switch (chosen(variant)) {
#if KV_X86_64
    case HostVariant::avx512:
      return attend_chunk_avx512(dtype);
    case HostVariant::avx2:
      return attend_chunk_avx2(dtype);
#endif
    default:
      return attend_chunk_portable(dtype);
  }
}

void run_decode_attention(const DecodeAttentionParams& params, HostVariant variant, Stream& stream) {
  if (params.batch == 0) return;
  if (dynamic_cast<HostStream*>(&stream) == nullptr) return run_decode_attention_cuda(params, stream);
  if (variant == HostVariant::reference) {
    return launch_reference<DecodeAttentionParams, decode_attention_cpu>("decode_attention", params, stream);
  }
  const AttendChunk attend_chunk = attend_chunk_for(variant, params.cache_dtype);
  launch_on_threads("decode_attention", std::make_shared<DecodeAttentionHost>(params, attend_chunk), stream);
}

}  // namespace kv
