#pragma once
#include <span>

#include "kernels/kv_view.h"
#include "memory/backend.h"

namespace kv {

struct BlockPair {
  int32_t from;
  int32_t to;
};

/// All that one launch of copy_blocks reads. Few pairs travel by value, since a launch takes 4 KiB of parameters; many
/// lie in memory of the device.
struct CopyBlocksParams {
  static constexpr size_t kMaxInlinePairs = 480;
  static constexpr size_t kMaxPairs = 65535;  // the second dimension of a grid

  KvView view;
  const BlockPair* pairs;  // [num_pairs], or null: inline_pairs
  int32_t num_pairs;
  BlockPair inline_pairs[kMaxInlinePairs];

  KV_DEVICE BlockPair pair(int64_t i) const { return pairs == nullptr ? inline_pairs[i] : pairs[i]; }
};
static_assert(sizeof(CopyBlocksParams) <= 4096);

/// What copy_blocks means: every token and head of a block, keys and values. The CUDA kernel must agree bit for bit.
void copy_blocks_cpu(const CopyBlocksParams& params);

/// Queues the copies; no block may be both read and written, or written twice, by `pairs`. Many pairs go through memory
/// of `backend` that is freed, in the stream's order, behind them.
void run_copy_blocks(const KvView& view, std::span<const BlockPair> pairs, const std::shared_ptr<Backend>& backend,
                     const StreamPtr& stream);

}  // namespace kv
