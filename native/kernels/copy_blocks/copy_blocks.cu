#include "kernels/block_words.h"
#include "kernels/copy_blocks/copy_blocks.h"

namespace kv {

// Grid: x covers the words of a block, y the pairs, z is 0 for keys and 1 for values. A block without gaps is one run
// of words, in whichever order of its axes.
template <typename Word>
__device__ void copy_blocks(const CopyBlocksParams& params) {
  const KvView& view = params.view;
  const KvPlane& plane = blockIdx.z == 0 ? view.keys : view.values;
  const BlockPair pair = params.pair(blockIdx.y);
  const std::byte* from = plane.base + pair.from * plane.block_stride_bytes;
  std::byte* to = plane.base + pair.to * plane.block_stride_bytes;
  const auto num_words = static_cast<uint32_t>(packed_bytes(plane, view) / static_cast<int64_t>(sizeof(Word)));
  if (is_dense(plane, view)) {
    const auto place = [](uint32_t word) { return word * int64_t{sizeof(Word)}; };
    copy_words<Word>(num_words, from, place, to, place);
  } else {
    const auto place = [&](uint32_t word) { return word_offset_bytes<Word>(plane, view, word); };
    copy_words<Word>(num_words, from, place, to, place);
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
