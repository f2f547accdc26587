#include "kernels/decode_attention/decode_attention.h"
#include "memory/error.h"

namespace kv {

void run_decode_attention_cuda(const DecodeAttentionParams&, Stream&) {
  throw invalid_argument("stream", "is of a GPU, for which decode attention has no kernel; use the device \"host\"");
}

}  // namespace kv
