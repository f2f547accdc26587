#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/decode_attention/decode_attention_chunk.h"
#include "kernels/host/target.h"
// After those above, on which it stands.
#include "kernels/decode_attention/decode_attention_lanes.h"
#include "kernels/host/lanes_portable.h"

namespace kv {

AttendChunk attend_chunk_portable(Dtype dtype) {
  return attend_chunk_of<LanesPortable>(dtype);
}

}  // namespace kv
