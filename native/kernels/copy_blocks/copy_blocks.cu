#include "kernels/copy_blocks/copy_blocks.h"

namespace kv {

// Grid: x covers the words of a block, y the pairs, z is 0 for keys and 1 for values. A thread moves kWordsPerThread
// words that lie a thread block apart, so that neighbours touch neighbouring addresses and several loads are in flight.
constexpr int kWordsPerThread = 4;

template <typename Word>
__device__ Word* word_of(const KvPlane& plane, const KvView& view, int64_t block, int64_t word) {
  const int32_t words_per_head = plane.head_bytes / static_cast<int32_t>(sizeof(Word));
  const int64_t row = word / words_per_head;  // token and head
  return reinterpret_cast<Word*>(plane.head(block, row / view.num_kv_heads, row % view.num_kv_heads)) +
         word % words_per_head;
}

template <typename Word>
__device__ void copy_blocks(const CopyBlocksParams& params) {
  const KvView& view = params.view;
  const KvPlane& plane = blockIdx.z == 0 ? view.keys : view.values;
  const BlockPair pair = params.pairs[blockIdx.y];
  const int64_t num_words =
      int64_t{view.tokens_per_block} * view.num_kv_heads * (plane.head_bytes / static_cast<int32_t>(sizeof(Word)));
  const int64_t first = int64_t{blockIdx.x} * blockDim.x * kWordsPerThread + threadIdx.x;
  Word words[kWordsPerThread];
#pragma unroll
  for (int i = 0; i < kWordsPerThread; ++i) {
    const int64_t word = first + i * blockDim.x;
    if (word < num_words) words[i] = *word_of<Word>(plane, view, pair.from, word);
  }
#pragma unroll
  for (int i = 0; i < kWordsPerThread; ++i) {
    const int64_t word = first + i * blockDim.x;
    if (word < num_words) *word_of<Word>(plane, view, pair.to, word) = words[i];
  }
}

}  // namespace kv

extern "C" __global__ void copy_blocks_16(const __grid_constant__ kv::CopyBlocksParams params) {
  kv::copy_blocks<uint4>(params);
}
extern "C" __global__ void copy_blocks_8(const __grid_constant__ kv::CopyBlocksParams params) {
  kv::copy_blocks<uint2>(params);
}
extern "C" __global__ void copy_blocks_4(const __grid_constant__ kv::CopyBlocksParams params) {
  kv::copy_blocks<uint32_t>(params);
}
extern "C" __global__ void copy_blocks_2(const __grid_constant__ kv::CopyBlocksParams params) {
  kv::copy_blocks<uint16_t>(params);
}
extern "C" __global__ void copy_blocks_1(const __grid_constant__ kv::CopyBlocksParams params) {
  kv::copy_blocks<uint8_t>(params);
}
