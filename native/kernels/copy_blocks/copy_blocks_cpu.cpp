#include <cstring>

#include "kernels/copy_blocks/copy_blocks.h"

namespace kv {

void copy_blocks_cpu(const CopyBlocksParams& params) {
  const KvView& view = params.view;
  for (int32_t i = 0; i < params.num_pairs; ++i) {
    const BlockPair pair = params.pair(i);
    for (const KvPlane& plane : {view.keys, view.values}) {
      for (int64_t token = 0; token < view.tokens_per_block; ++token) {
        for (int64_t head = 0; head < view.num_kv_heads; ++head) {
          std::memcpy(plane.head(pair.to, token, head), plane.head(pair.from, token, head),
                      static_cast<size_t>(plane.head_bytes));
        }
      }
    }
  }
}

}  // namespace kv
