#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/decode_attention/decode_attention_chunk.h"
#include "kernels/host/target.h"

#if KV_X86_64
KV_TARGET_BEGIN("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")
#include "kernels/decode_attention/decode_attention_lanes.h"
#include "kernels/host/lanes_avx512.h"

namespace kv {

AttendChunk attend_chunk_avx512(Dtype dtype) {
  return attend_chunk_of<LanesAvx512>(dtype);
}

}  // namespace kv
KV_TARGET_END
#endif
