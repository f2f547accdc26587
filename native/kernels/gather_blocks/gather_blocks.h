#pragma once
#include <memory>
#include <span>

#include "kernels/kv_view.h"
#include "memory/backend.h"

namespace kv {

/// All that one launch of gather_blocks reads. Few blocks travel by value, many lie in memory of the device.
struct GatherBlocksParams {
  static constexpr size_t kMaxInlineBlocks = 960;
  static constexpr size_t kMaxBlocks = 65535;  // the second dimension of a grid

  KvView view;
  std::byte* packed;      // [num_blocks]: keys [token, head, element], then values as keys
  const int32_t* blocks;  // [num_blocks], or null: inline_blocks
  int32_t num_blocks;
  int32_t is_scatter;  // 1: from packed into the blocks
  int32_t inline_blocks[kMaxInlineBlocks];

  KV_DEVICE int64_t block(int64_t i) const { return blocks == nullptr ? inline_blocks[i] : blocks[i]; }
};
static_assert(sizeof(GatherBlocksParams) <= 4096);

/// Bytes of one block in the packed buffer.
int64_t packed_block_bytes(const KvView& view);

/// What gathering and scattering mean. The CUDA kernel must agree bit for bit.
void gather_blocks_cpu(const GatherBlocksParams& params);

/// Blocks of a view, and the buffer that they are gathered into, or scattered from.
struct GatherBlocksCall {
  KvView view;
  std::span<const int32_t> blocks;
  std::byte* packed;
  bool is_scatter;
  bool is_pinned;  // whether the buffer is memory of the host
};

/// Queues the copies. Pinned memory is reached through a piece of device memory and the copy engine: scattered words on
/// the bus are slow, and kernels that wait for the bus keep multiprocessors from other work.
void run_gather_blocks(const GatherBlocksCall& call, const std::shared_ptr<Backend>& backend, const StreamPtr& stream);

}  // namespace kv
