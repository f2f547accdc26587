#include "kernels/append/append.h"
#include "kernels/queued_work.h"

namespace kv {

// One thread block per token; its threads move the token's keys, then its values, a Word at a time.
template <typename Word>
__device__ void write_token(const KvPlane& plane, const KvView& view, int64_t slot, const std::byte* token) {
  const int64_t block = slot / view.tokens_per_block;
  const int64_t token_in_block = slot % view.tokens_per_block;
  const int32_t words_per_head = plane.head_bytes / static_cast<int32_t>(sizeof(Word));
  for (int32_t i = threadIdx.x; i < view.num_kv_heads * words_per_head; i += blockDim.x) {
    const int32_t head = i / words_per_head;
    auto* to = reinterpret_cast<Word*>(plane.head(block, token_in_block, head)) + i % words_per_head;
    *to = reinterpret_cast<const Word*>(token)[i];
  }
}

template <typename Word>
__device__ void append(const AppendParams& params) {
  wait_for_queued_work();
  const KvView& view = params.view;
  const int64_t token = blockIdx.x;
  const int64_t slot = params.slot_of(token);
  if (slot < 0 || slot >= view.num_slots()) return;
  write_token<Word>(view.keys, view, slot, params.keys + token * view.num_kv_heads * view.keys.head_bytes);
  write_token<Word>(view.values, view, slot, params.values + token * view.num_kv_heads * view.values.head_bytes);
}

}  // namespace kv

extern "C" __global__ void append_16(const __grid_constant__ kv::AppendParams params) {
  kv::append<uint4>(params);
}
extern "C" __global__ void append_8(const __grid_constant__ kv::AppendParams params) {
  kv::append<uint2>(params);
}
extern "C" __global__ void append_4(const __grid_constant__ kv::AppendParams params) {
  kv::append<uint32_t>(params);
}
extern "C" __global__ void append_2(const __grid_constant__ kv::AppendParams params) {
  kv::append<uint16_t>(params);
}
extern "C" __global__ void append_1(const __grid_constant__ kv::AppendParams params) {
  kv::append<uint8_t>(params);
}
