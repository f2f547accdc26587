#include "kernels/block_words.h"
#include "kernels/gather_blocks/gather_blocks.h"

namespace kv {

// Grid: x covers the words of a block, y the blocks, z is 0 for keys and 1 for values, as in copy_blocks.
template <typename Word>
__device__ void gather_blocks(const GatherBlocksParams& params) {
  const KvView& view = params.view;
  const KvPlane& plane = blockIdx.z == 0 ? view.keys : view.values;
  const int64_t key_bytes = packed_bytes(view.keys, view);
  const int64_t block_bytes = key_bytes + packed_bytes(view.values, view);
  std::byte* packed = params.packed + blockIdx.y * block_bytes + (blockIdx.z == 0 ? 0 : key_bytes);
  std::byte* scattered = plane.base + params.block(blockIdx.y) * plane.block_stride_bytes;
  const auto num_words = static_cast<uint32_t>(packed_bytes(plane, view) / static_cast<int64_t>(sizeof(Word)));
  const auto in_packed = [](uint32_t word) { return word * int64_t{sizeof(Word)}; };
  const auto in_view = [&](uint32_t word) { return word_offset_bytes<Word>(plane, view, word); };
  if (is_packed(plane, view)) {
    copy_words<Word>(num_words, params.is_scatter ? packed : scattered, in_packed,
                     params.is_scatter ? scattered : packed, in_packed);
  } else if (params.is_scatter) {
    copy_words<Word>(num_words, packed, in_packed, scattered, in_view);
  } else {
    copy_words<Word>(num_words, scattered, in_view, packed, in_packed);
  }
}

}  // namespace kv

extern "C" __global__ void gather_blocks_16(const __grid_constant__ kv::GatherBlocksParams params) {
  kv::gather_blocks<uint4>(params);
}
extern "C" __global__ void gather_blocks_8(const __grid_constant__ kv::GatherBlocksParams params) {
  kv::gather_blocks<uint2>(params);
}
extern "C" __global__ void gather_blocks_4(const __grid_constant__ kv::GatherBlocksParams params) {
  kv::gather_blocks<uint32_t>(params);
}
extern "C" __global__ void gather_blocks_2(const __grid_constant__ kv::GatherBlocksParams params) {
  kv::gather_blocks<uint16_t>(params);
}
extern "C" __global__ void gather_blocks_1(const __grid_constant__ kv::GatherBlocksParams params) {
  kv::gather_blocks<uint8_t>(params);
}
