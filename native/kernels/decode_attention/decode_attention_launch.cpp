#include <memory>

#include "kernels/decode_attention/decode_attention.h"
#include "kernels/decode_attention/decode_attention_host.h"
#include "kernels/host/target.h"
#include "memory/host_stream.h"

namespace kv {
namespace {

AttendChunk attend_chunk_for(HostVariant variant, Dtype dtype) {
  switch (variant) {
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

void launch_reference(const DecodeAttentionParams& params, Stream& stream) {
  stream.launch(
      {.name = "decode_attention",
       .num_thread_blocks = {1, 1, 1},
       .num_threads = 1,
       .params = &params,
       .params_bytes = sizeof params,
       .on_host = [](const void* p) { decode_attention_cpu(*static_cast<const DecodeAttentionParams*>(p)); }});
}

/// Runs a call that was made with all its memory, and gives that back.
void run_and_delete(const void* address) {
  const std::unique_ptr<DecodeAttentionHost> call(*static_cast<DecodeAttentionHost* const*>(address));
  // The threads stay for the next call, as long as this stream does.
  static thread_local std::shared_ptr<HostThreads> kept;
  kept = call->threads();
  call->run();
}

}  // namespace

void run_decode_attention(const DecodeAttentionParams& params, HostVariant variant, Stream& stream) {
  if (params.batch == 0) return;
  if (dynamic_cast<HostStream*>(&stream) == nullptr) return run_decode_attention_cuda(params, stream);
  if (variant == HostVariant::reference) return launch_reference(params, stream);
  auto call = std::make_unique<DecodeAttentionHost>(params, attend_chunk_for(chosen(variant), params.cache_dtype));
  DecodeAttentionHost* const address = call.get();
  stream.launch({.name = "decode_attention",
                 .num_thread_blocks = {1, 1, 1},
                 .num_threads = 1,
                 .params = &address,
                 .params_bytes = sizeof address,
                 .on_host = run_and_delete});
  // Queued, and so the stream's to delete.
  call.release();
}

}  // namespace kv
