#include "kernels/decode_attention/decode_attention_chunks.h"

// Adds up the partial results of the chunks of each row. Several warps for each row when rows are few, or one; either
// way part j is the chunks j, j + 8, ... in order, and the parts are added up from the first to the last.

namespace kv {

constexpr int kMergeColumns = 4;  // of a lane at a time
static_assert(kMostChunks <= 64, "a lane has the weights of two chunks");

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

/// Adds a chunk's part of four columns, 32 apart.
__device__ inline void add_chunk(const float* output, int32_t column, int32_t value_dim, float weight,
                                 float (&sums)[kMergeColumns]) {
#pragma unroll
  for (int c = 0; c < kMergeColumns; ++c) {
    if (column + 32 * c < value_dim) sums[c] = fmaf(weight, output[column + 32 * c], sums[c]);
  }
}

/// A row's partial results.
struct PartialRow {
  const DecodeAttentionParams& p;
  const int64_t row;
  const float* outputs;  // [num_chunks, value_dim]
  const int32_t num_chunks;
  const ChunkWeights weights;
  const FinishedRow finished;

  __device__ PartialRow(const DecodeKernelParams& params, int64_t row_, int32_t num_chunks_)
      : p(params.attention),
        row(row_),
        outputs(params.partial_outputs + params.partial_of(row, 0) * p.value_dim),
        num_chunks(num_chunks_),
        weights(params.partial_sums + 2 * params.partial_of(row, 0), num_chunks),
        finished(p, static_cast<int32_t>(row % p.num_query_heads), weights.greatest, weights.sum) {}

  /// All threads of a thread block for this row, a part for each warp.
  __device__ void merge_by_thread_block() const {
    __shared__ float parts[kMergeWarps][32 * kMergeColumns];
    const int32_t warp = threadIdx.x / 32;
    const int32_t lane = threadIdx.x % 32;
    for (int32_t column = lane; column - lane < p.value_dim; column += 32 * kMergeColumns) {
      float sums[kMergeColumns] = {};
#pragma unroll 4
      for (int32_t chunk = warp; chunk < num_chunks; chunk += kMergeWarps) {
        add_chunk(outputs + int64_t{chunk} * p.value_dim, column, p.value_dim, weights.of(chunk), sums);
      }
#pragma unroll
      for (int c = 0; c < kMergeColumns; ++c) parts[warp][32 * c + lane] = sums[c];
      __syncthreads();
      const int32_t mine = column - lane + static_cast<int32_t>(threadIdx.x);
      if (threadIdx.x < 32 * kMergeColumns && mine < p.value_dim) {
        float total = 0;
        for (int32_t part = 0; part < kMergeWarps; ++part) total = __fadd_rn(total, parts[part][threadIdx.x]);
        finished.store(p, row, mine, total);
      }
      __syncthreads();
    }
  }

  /// One warp for this row.
  __device__ void merge_by_warp() const {
    const int32_t lane = threadIdx.x % 32;
    for (int32_t column = lane; column - lane < p.value_dim; column += 32 * kMergeColumns) {
      float sums[kMergeWarps][kMergeColumns] = {};
      for (int32_t first = 0; first < num_chunks; first += kMergeWarps) {
#pragma unroll
        for (int part = 0; part < kMergeWarps; ++part) {
          const int32_t chunk = first + part;
          const float weight = weights.of(chunk % kMostChunks);
          if (chunk >= num_chunks) continue;
          add_chunk(outputs + int64_t{chunk} * p.value_dim, column, p.value_dim, weight, sums[part]);
        }
      }
#pragma unroll
      for (int c = 0; c < kMergeColumns; ++c) {
        float total = 0;
#pragma unroll
        for (int part = 0; part < kMergeWarps; ++part) total = __fadd_rn(total, sums[part][c]);
        if (column + 32 * c < p.value_dim) finished.store(p, row, column + 32 * c, total);
      }
    }
  }
};

template <int kWarpsPerRow>
__device__ void merge_decode_rows(const DecodeKernelParams& params) {
  const DecodeAttentionParams& p = params.attention;
  const int64_t rows_per_sequence = int64_t{p.query_length} * p.num_query_heads;
  const int64_t row_of_launch =
      kWarpsPerRow == 1 ? int64_t{blockIdx.x} * kMergeWarps + threadIdx.x / 32 : int64_t{blockIdx.x};
  if (row_of_launch >= rows_per_sequence * params.num_sequences) return;
  const int64_t row = params.first_sequence * rows_per_sequence + row_of_launch;
  const int32_t num_chunks = ChunksOfSequence::of(p, p.length_of(row / rows_per_sequence)).num_chunks;
  if (num_chunks == 1) return;
  const PartialRow partial(params, row, num_chunks);
  if constexpr (kWarpsPerRow == 1) {
    partial.merge_by_warp();
  } else {
    partial.merge_by_thread_block();
  }
}

}  // namespace kv

extern "C" __global__ void __launch_bounds__(kv::kMergeThreads, 4)
    decode_attention_merge_row(const __grid_constant__ kv::DecodeKernelParams params) {
  kv::merge_decode_rows<kv::kMergeWarps>(params);
}

extern "C" __global__ void __launch_bounds__(kv::kMergeThreads, 2)
    decode_attention_merge_rows(const __grid_constant__ kv::DecodeKernelParams params) {
  kv::merge_decode_rows<1>(params);
}
