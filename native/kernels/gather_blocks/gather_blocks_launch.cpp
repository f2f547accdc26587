#include <algorithm>
#include <string>

#include "kernels/block_words.h"
#include "kernels/copy_words.h"
#include "kernels/gather_blocks/gather_blocks.h"
#include "kernels/upload_pieces.h"
#include "memory/error.h"
#include "memory/memory.h"

namespace kv {
namespace {

// Long enough that launches between the copies cost little, short enough to be found in any pool.
constexpr int64_t kStagingBytes = 32 << 20;

const char* kernel_for(int word_bytes) {
  switch (word_bytes) {
    case 16:
      return "gather_blocks_16";
    case 8:
      return "gather_blocks_8";
    case 4:
      return "gather_blocks_4";
    case 2:
      return "gather_blocks_2";
    default:
      return "gather_blocks_1";
  }
}

void launch(const GatherBlocksParams& params, Stream& stream) {
  const KvView& view = params.view;
  const int bytes = word_bytes(view, {reinterpret_cast<uintptr_t>(params.packed)});
  const int64_t words = std::max(packed_bytes(view.keys, view), packed_bytes(view.values, view)) / bytes;
  if (words > UINT32_MAX) {
    throw invalid_argument("view", "has blocks of " + std::to_string(words) + " words of " + std::to_string(bytes) +
                                       " bytes; gatherBlocks counts them in 32 bits");
  }
  const BlockThreads threads(words);
  stream.launch({.name = kernel_for(bytes),
                 .num_thread_blocks = {threads.num_thread_blocks, static_cast<unsigned>(params.num_blocks), 2},
                 .num_threads = threads.num_threads,
                 .params = &params,
                 .params_bytes = sizeof params,
                 .on_host = [](const void* p) { gather_blocks_cpu(*static_cast<const GatherBlocksParams*>(p)); }});
}

/// As many launches as the list of blocks needs: few blocks by value, many of them uploaded.
void launch_all(const GatherBlocksCall& call, const std::shared_ptr<Backend>& backend, const StreamPtr& stream) {
  const std::span<const int32_t> blocks = call.blocks;
  GatherBlocksParams params{.view = call.view,
                            .packed = call.packed,
                            .blocks = nullptr,
                            .num_blocks = static_cast<int32_t>(blocks.size()),
                            .is_scatter = call.is_scatter ? 1 : 0,
                            .inline_blocks = {}};
  if (blocks.size() <= GatherBlocksParams::kMaxInlineBlocks) {
    std::copy(blocks.begin(), blocks.end(), params.inline_blocks);
    return launch(params, *stream);
  }
  const Memory uploaded(backend, stream, blocks.size_bytes(), alignof(int32_t), MemoryKind::pool);
  upload_in_pieces(*stream, uploaded.address(), std::as_bytes(blocks));
  for (size_t done = 0; done < blocks.size(); done += GatherBlocksParams::kMaxBlocks) {
    params.blocks = reinterpret_cast<const int32_t*>(uploaded.address()) + done;
    params.num_blocks = static_cast<int32_t>(std::min(blocks.size() - done, GatherBlocksParams::kMaxBlocks));
    params.packed = call.packed + static_cast<int64_t>(done) * packed_block_bytes(call.view);
    launch(params, *stream);
  }
}

/// Through a piece of device memory, one part of the blocks after the other.
void launch_staged(const GatherBlocksCall& call, const std::shared_ptr<Backend>& backend, const StreamPtr& stream) {
  const int64_t bytes_per_block = packed_block_bytes(call.view);
  const auto blocks_at_once = static_cast<size_t>(std::max<int64_t>(kStagingBytes / bytes_per_block, 1));
  const size_t most_blocks = std::min(blocks_at_once, call.blocks.size());
  const Memory staging(backend, stream, most_blocks * static_cast<size_t>(bytes_per_block), kNaturalAlignment,
                       MemoryKind::pool);
  for (size_t done = 0; done < call.blocks.size(); done += most_blocks) {
    const auto blocks = call.blocks.subspan(done, std::min(most_blocks, call.blocks.size() - done));
    const size_t bytes = blocks.size() * static_cast<size_t>(bytes_per_block);
    std::byte* pinned = call.packed + static_cast<int64_t>(done) * bytes_per_block;
    if (call.is_scatter) stream->copy(staging.address(), pinned, bytes);
    launch_all({call.view, blocks, staging.address(), call.is_scatter, false}, backend, stream);
    if (!call.is_scatter) stream->copy(pinned, staging.address(), bytes);
  }
}

}  // namespace

void run_gather_blocks(const GatherBlocksCall& call, const std::shared_ptr<Backend>& backend, const StreamPtr& stream) {
  if (call.blocks.empty()) return;
  const bool is_staged = call.is_pinned && stream->properties().kind == "cuda";
  return is_staged ? launch_staged(call, backend, stream) : launch_all(call, backend, stream);
}

}  // namespace kv
