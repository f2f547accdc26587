#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/decode_attention/decode_attention_chunk.h"
#include "kernels/host/target.h"

#if KV_X86_64
KV_TARGET_BEGIN("avx2,fma,f16c")
#include "kernels/decode_attention/decode_attention_lanes.h"
#include "kernels/host/lanes_avx2.h"

namespace kv {

AttendChunk attend_chunk_avx2(Dtype dtype) {
  return attend_chunk_of<LanesAvx2>(dtype);
}

}  // namespace kv
KV_TARGET_END
#endif
