#include "kernels/decode_attention/decode_attention_chunks.h"

// Adds up the partial results of the chunks of each row. Several warps for each row when rows are few, or one; either
// way part j is the chunks j, j + 8, ... in order, and the parts are added up from the first to the last.

namespace kv {

constexpr int kMergeColumns = 8;  // of a lane: the widest values have 256
static_assert(kMostChunks == 64, "a lane has the weights of two chunks");

/// Weights of a row's chunks: a lane has those of chunk `lane` and of chunk `lane + 32`.
struct ChunkWeights {
  float greatest;
  float sum;
  float weight[2];

  __device__ ChunkWeights(const float* sums, int32_t num_chunks) {
    const int32_t lane = threadIdx.x % 32;
    float2 mine[2];
    greatest = kMinusInfinity;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int32_t chunk = lane + 32 * half;
      mine[half] = chunk < num_chunks ? reinterpret_cast<const float2*>(sums)[chunk] : float2{kMinusInfinity, 0};
      greatest = fmaxf(greatest, mine[half].x);
    }
    greatest = warp_max(greatest);
    const float shift = greatest == kMinusInfinity ? 0 : greatest;
#pragma unroll
    for (int half = 0; half < 2; ++half) weight[half] = exp2f(mine[half].x - shift);
    sum = warp_sum(fmaf(weight[0], mine[0].y, weight[1] * mine[1].y));
  }

  __device__ float of(int32_t chunk) const { return __shfl_sync(~0u, chunk < 32 ? weight[0] : weight[1], chunk % 32); }
};

/// The chunks `part`, `part + 8`, ... of a row, weighted.
__device__ inline void add_part(const float* outputs, int32_t value_dim, int32_t num_chunks, int32_t part,
                                const ChunkWeights& weights, float (&sums)[kMergeColumns]) {
  const int32_t lane = threadIdx.x % 32;
#pragma unroll
  for (int c = 0; c < kMergeColumns; ++c) sums[c] = 0;
#pragma unroll 4
  for (int32_t chunk = part; chunk < num_chunks; chunk += kMergeWarps) {
    const float weight = weights.of(chunk);
    const float* output = outputs + int64_t{chunk} * value_dim;
#pragma unroll
    for (int c = 0; c < kMergeColumns; ++c) {
      const int32_t column = 32 * c + lane;
      if (column < value_dim) sums[c] = fmaf(weight, output[column], sums[c]);
    }
  }
}

template <int kWarpsPerRow>
__device__ void merge_decode_row(const DecodeKernelParams& params) {
  const DecodeAttentionParams& p = params.attention;
  const int32_t warp = threadIdx.x / 32;
  const int32_t lane = threadIdx.x % 32;
  const int64_t rows_per_sequence = int64_t{p.query_length} * p.num_query_heads;
  const int64_t row_of_launch =
      kWarpsPerRow == 1 ? int64_t{blockIdx.x} * kMergeWarps + warp : static_cast<int64_t>(blockIdx.x);
  if (row_of_launch >= rows_per_sequence * params.num_sequences) return;
  const int64_t row = params.first_sequence * rows_per_sequence + row_of_launch;
  const int32_t num_chunks = ChunksOfSequence::of(p, row / rows_per_sequence).num_chunks;
  if (num_chunks == 1) return;
  const int64_t partial = params.partial_of(row, 0);
  const ChunkWeights weights(params.partial_sums + 2 * partial, num_chunks);
  const float* outputs = params.partial_outputs + partial * p.value_dim;
  float totals[kMergeColumns] = {};
  float sums[kMergeColumns];
  if constexpr (kWarpsPerRow == 1) {
    for (int32_t part = 0; part < kMergeWarps; ++part) {
      add_part(outputs, p.value_dim, num_chunks, part, weights, sums);
#pragma unroll
      for (int c = 0; c < kMergeColumns; ++c) totals[c] = __fadd_rn(totals[c], sums[c]);
    }
  } else {
    __shared__ float parts[kMergeWarps][32 * kMergeColumns];
    add_part(outputs, p.value_dim, num_chunks, warp, weights, sums);
#pragma unroll
    for (int c = 0; c < kMergeColumns; ++c) parts[warp][32 * c + lane] = sums[c];
    __syncthreads();
    if (warp != 0) return;
    for (int32_t part = 0; part < kMergeWarps; ++part) {
#pragma unroll
      for (int c = 0; c < kMergeColumns; ++c) totals[c] = __fadd_rn(totals[c], parts[part][32 * c + lane]);
    }
  }
  const int32_t query_head = static_cast<int32_t>(row % p.num_query_heads);
#pragma unroll
  for (int c = 0; c < kMergeColumns; ++c) {
    const int32_t column = 32 * c + lane;
    if (column < p.value_dim) {
      store_decode_output(p, row, query_head, column, totals[c], weights.greatest, weights.sum);
    }
  }
}

}  // namespace kv

extern "C" __global__ void __launch_bounds__(kv::kMergeThreads)
    decode_attention_merge_row(const __grid_constant__ kv::DecodeKernelParams params) {
  kv::merge_decode_row<kv::kMergeWarps>(params);
}

extern "C" __global__ void __launch_bounds__(kv::kMergeThreads)
    decode_attention_merge_rows(const __grid_constant__ kv::DecodeKernelParams params) {
  kv::merge_decode_row<1>(params);
}
