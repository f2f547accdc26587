#include <algorithm>

#include "kernels/copy_blocks/copy_blocks.h"
#include "kernels/copy_words.h"

namespace kv {
namespace {

constexpr unsigned kThreads = 256;
constexpr int64_t kWordsPerThreadBlock = kThreads * 4;

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

}  // namespace

void run_copy_blocks(const KvView& view, std::span<const BlockPair> pairs, Stream& stream) {
  const int bytes = word_bytes(view, {});
  const int64_t head_bytes = std::max(view.keys.head_bytes, view.values.head_bytes);
  const int64_t words = int64_t{view.tokens_per_block} * view.num_kv_heads * head_bytes / bytes;
  CopyBlocksParams params{.view = view, .num_pairs = 0, .pairs = {}};
  while (!pairs.empty()) {
    const size_t count = std::min<size_t>(pairs.size(), CopyBlocksParams::kMaxPairs);
    std::copy_n(pairs.begin(), count, params.pairs);
    params.num_pairs = static_cast<int32_t>(count);
    stream.launch(
        {.name = kernel_for(bytes),
         .num_thread_blocks = {static_cast<unsigned>((words + kWordsPerThreadBlock - 1) / kWordsPerThreadBlock),
                               static_cast<unsigned>(count), 2},
         .num_threads = kThreads,
         .params = &params,
         .params_bytes = sizeof params,
         .on_host = [](const void* p) { copy_blocks_cpu(*static_cast<const CopyBlocksParams*>(p)); }});
    pairs = pairs.subspan(count);
  }
}

}  // namespace kv
