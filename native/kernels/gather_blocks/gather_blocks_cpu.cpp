#include <cstring>

#include "kernels/block_words.h"
#include "kernels/gather_blocks/gather_blocks.h"

namespace kv {

int64_t packed_block_bytes(const KvView& view) {
  return packed_bytes(view.keys, view) + packed_bytes(view.values, view);
}

void gather_blocks_cpu(const GatherBlocksParams& params) {
  const KvView& view = params.view;
  std::byte* packed = params.packed;
  for (int32_t i = 0; i < params.num_blocks; ++i) {
    for (const KvPlane& plane : {view.keys, view.values}) {
      for (int64_t token = 0; token < view.tokens_per_block; ++token) {
        for (int64_t head = 0; head < view.num_kv_heads; ++head) {
          std::byte* scattered = plane.head(params.block(i), token, head);
          std::memcpy(params.is_scatter ? scattered : packed, params.is_scatter ? packed : scattered,
                      static_cast<size_t>(plane.head_bytes));
          packed += plane.head_bytes;
        }
      }
    }
  }
}

}  // namespace kv
