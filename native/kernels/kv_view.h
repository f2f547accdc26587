#pragma once
#include <cstddef>
#include <cstdint>

#ifdef __CUDACC__
#define KV_DEVICE __host__ __device__
#else
#define KV_DEVICE
#endif

namespace kv {

/// The keys or the values of one layer: where a token's heads are. Strides in bytes.
struct KvPlane {
  std::byte* base;
  int64_t block_stride_bytes;
  int64_t token_stride_bytes;
  int64_t head_stride_bytes;
  int32_t head_bytes;  // head width * element bytes

  KV_DEVICE std::byte* head(int64_t block, int64_t token_in_block, int64_t head) const {
    return base + block * block_stride_bytes + token_in_block * token_stride_bytes + head * head_stride_bytes;
  }
};

/// One layer of a cache. A contiguous cache is a paged one of one block.
struct KvView {
  KvPlane keys;
  KvPlane values;
  int64_t num_blocks;
  int32_t tokens_per_block;
  int32_t num_kv_heads;

  KV_DEVICE int64_t num_slots() const { return num_blocks * tokens_per_block; }
};

}  // namespace kv
