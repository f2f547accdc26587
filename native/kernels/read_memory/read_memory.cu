#include "kernels/read_memory/read_memory.h"
#include "kernels/read_memory/read_memory_grid.h"

// A thread block takes 64 KiB: each of its threads eight vectors that lie a thread block apart, all under way at once.
extern "C" __global__ void __launch_bounds__(kv::kReadThreads)
    read_memory(const __grid_constant__ kv::ReadMemoryParams params) {
  const auto* vectors = reinterpret_cast<const uint4*>(params.words);
  const int64_t first = int64_t{blockIdx.x} * kv::kVectorsPerThreadBlock + threadIdx.x;
  const uint32_t other = ~params.wanted;
  uint4 read[kv::kVectorsPerThread];
#pragma unroll
  for (int i = 0; i < kv::kVectorsPerThread; ++i) {
    const int64_t at = first + i * kv::kReadThreads;
    read[i] = at < params.num_vectors ? __ldcs(vectors + at) : uint4{other, other, other, other};
  }
  bool is_found = false;
#pragma unroll
  for (const uint4& each : read) {
    is_found |=
        each.x == params.wanted || each.y == params.wanted || each.z == params.wanted || each.w == params.wanted;
  }
  if (is_found) *params.found = 1;
}
