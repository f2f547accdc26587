#include "kernels/copy_blocks/copy_blocks.h"

namespace kv {

// Grid: x covers the words of a block, y the pairs, z is 0 for keys and 1 for values. A thread moves kWordsPerThread
// words that lie a thread block apart, so that neighbours touch neighbouring addresses and several loads are in flight.
constexpr uint32_t kWordsPerThread = 4;

// Where a word of a block lies from the block's start. Words are counted in 32 bits: 64-bit divisions cost more than
// the copy itself.
template <typename Word>
__device__ int64_t offset_bytes(const KvPlane& plane, const KvView& view, uint32_t word) {
  const uint32_t words_per_head = plane.head_bytes / static_cast<uint32_t>(sizeof(Word));
  const uint32_t num_kv_heads = view.num_kv_heads;
  const uint32_t row = word / words_per_head;  // token and head
  return row / num_kv_heads * plane.token_stride_bytes + row % num_kv_heads * plane.head_stride_bytes +
         word % words_per_head * int64_t{sizeof(Word)};
}

template <typename Word>
__device__ void copy_blocks(const CopyBlocksParams& params) {
  const KvView& view = params.view;
  const KvPlane& plane = blockIdx.z == 0 ? view.keys : view.values;
  const BlockPair pair = params.pair(blockIdx.y);
  const std::byte* from = plane.base + pair.from * plane.block_stride_bytes;
  std::byte* to = plane.base + pair.to * plane.block_stride_bytes;
  const uint32_t num_words = static_cast<uint32_t>(view.tokens_per_block) * view.num_kv_heads *
                             (plane.head_bytes / static_cast<uint32_t>(sizeof(Word)));
  const uint32_t first = blockIdx.x * blockDim.x * kWordsPerThread + threadIdx.x;
  Word words[kWordsPerThread];
  int64_t offsets[kWordsPerThread];
#pragma unroll
  for (uint32_t i = 0; i < kWordsPerThread; ++i) {
    const uint32_t word = first + i * blockDim.x;
    offsets[i] = offset_bytes<Word>(plane, view, word);
    if (word < num_words) words[i] = *reinterpret_cast<const Word*>(from + offsets[i]);
  }
#pragma unroll
  for (uint32_t i = 0; i < kWordsPerThread; ++i) {
    if (first + i * blockDim.x < num_words) *reinterpret_cast<Word*>(to + offsets[i]) = words[i];
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
