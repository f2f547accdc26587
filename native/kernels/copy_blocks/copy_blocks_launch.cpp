#include <algorithm>
#include <string>

#include "kernels/copy_blocks/copy_blocks.h"
#include "kernels/copy_words.h"
#include "kernels/upload_pieces.h"
#include "memory/error.h"
#include "memory/memory.h"

namespace kv {
namespace {

const char* kernel_for(int word_bytes) {
  switch (word_bytes) {
    case 16:
      return "copy_blocks_16";
    case 8:
      return "copy_blocks_8";
    case 4:
      return "copy_blocks_4";
    case 2:
      return "copy_blocks_2";
    default:
      return "copy_blocks_1";
  }
}

void launch(const CopyBlocksParams& params, Stream& stream) {
  const int bytes = word_bytes(params.view, {});
  const int64_t head_bytes = std::max(params.view.keys.head_bytes, params.view.values.head_bytes);
  const int64_t words = int64_t{params.view.tokens_per_block} * params.view.num_kv_heads * head_bytes / bytes;
  if (words > UINT32_MAX) {
    throw invalid_argument("view", "has blocks of " + std::to_string(words) + " words of " + std::to_string(bytes) +
                                       " bytes; copyBlocks counts them in 32 bits");
  }
  const BlockThreads threads(words);
  stream.launch({.name = kernel_for(bytes),
                 .num_thread_blocks = {threads.num_thread_blocks, static_cast<unsigned>(params.num_pairs), 2},
                 .num_threads = threads.num_threads,
                 .params = &params,
                 .params_bytes = sizeof params,
                 .on_host = [](const void* p) { copy_blocks_cpu(*static_cast<const CopyBlocksParams*>(p)); }});
}

}  // namespace

void run_copy_blocks(const KvView& view, std::span<const BlockPair> pairs, const std::shared_ptr<Backend>& backend,
                     const StreamPtr& stream) {
  if (pairs.empty()) return;
  CopyBlocksParams params{.view = view, .pairs = nullptr, .num_pairs = 0, .inline_pairs = {}};
  if (pairs.size() <= CopyBlocksParams::kMaxInlinePairs) {
    std::copy(pairs.begin(), pairs.end(), params.inline_pairs);
    params.num_pairs = static_cast<int32_t>(pairs.size());
    return launch(params, *stream);
  }
  const Memory uploaded(backend, stream, pairs.size_bytes(), alignof(BlockPair), MemoryKind::pool);
  upload_in_pieces(*stream, uploaded.address(), std::as_bytes(pairs));
  for (size_t done = 0; done < pairs.size(); done += CopyBlocksParams::kMaxPairs) {
    params.pairs = reinterpret_cast<const BlockPair*>(uploaded.address()) + done;
    params.num_pairs = static_cast<int32_t>(std::min(pairs.size() - done, CopyBlocksParams::kMaxPairs));
    launch(params, *stream);
  }
}

}  // namespace kv
