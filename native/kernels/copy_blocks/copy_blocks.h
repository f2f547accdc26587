#pragma once
#include <span>

#include "kernels/kv_view.h"
#include "memory/backend.h"

namespace kv {

struct BlockPair {
  int32_t from;
  int32_t to;
};

/// All that one launch of copy_blocks reads. The pairs travel by value: a launch takes 4 KiB of parameters.
struct CopyBlocksParams {
  static constexpr int32_t kMaxPairs = 480;

  KvView view;
  int32_t num_pairs;
  BlockPair pairs[kMaxPairs];
};
static_assert(sizeof(CopyBlocksParams) <= 4096);

/// What copy_blocks means: every token and head of a block, keys and values. The CUDA kernel must agree bit for bit.
void copy_blocks_cpu(const CopyBlocksParams& params);

/// Queues the copies; no block may be both read and written, or written twice, by `pairs`.
void run_copy_blocks(const KvView& view, std::span<const BlockPair> pairs, Stream& stream);

}  // namespace kv
