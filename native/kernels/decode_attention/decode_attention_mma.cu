#include "kernels/decode_attention/decode_attention_plain.cu"
#include "kernels/decode_attention/decode_attention_tiles.h"
#include "kernels/mma_tiles.h"

// Tensor cores by mma.sync, for every GPU from sm_80 on. As many thread blocks as fit take the items by turns: some
// rows of one KV head over one chunk. Of every 64 tokens each of the four warps takes a tile of 16 by itself: it brings
// them by cp.async into a ring of its own, so that nothing waits for another warp before the end of the item, and
// enough bytes are under way to keep the memory busy. Tokens are the rows of both products: keys times queries gives
// scores whose columns are up to eight query rows, and values, transposed, times their weights gives the output of the
// same columns.

namespace kv {

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800

/// The transpose of an 8 x 8 matrix of pairs of two-byte elements over the lanes.
__device__ inline uint32_t transposed(uint32_t pair) {
  uint32_t result;
  asm("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(result) : "r"(pair));
  return result;
}

template <int kPending>
__device__ inline void wait_for_copies_of_warp() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending));
  __syncwarp();
}

template <Dtype dtype, int kKeyWidth, int kValueWidth, int kGroups>
struct MmaDecode {
  using Ring = DecodeRing<kKeyWidth, kValueWidth>;
  using KeyTile = SharedTile<kKeyWidth>;
  using ValueTile = SharedTile<kValueWidth>;
  static constexpr int kRows = 8 * kGroups;
  static constexpr int kSteps = kKeyWidth / 16;
  static constexpr int kOutputTiles = kValueWidth / 16;
  static constexpr int kStride = kDecodeTokens * kDecodeWarps;
  static_assert(KeyTile::kRowBytes == Ring::kKeyRowBytes && ValueTile::kRowBytes == Ring::kValueRowBytes);

  const DecodeKernelParams& params;
  const DecodeAttentionParams& p;
  const DecodeItem item;
  std::byte* const memory;  // the warp's ring
  uint32_t* const present;  // [stages]: bit i of a stage: its token i is there to see
  const uint32_t shared = static_cast<uint32_t>(__cvta_generic_to_shared(memory));
  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32;

  int32_t next_block;  // of token lane % 16 of the tile that is loaded next
  uint32_t queries[kGroups][kSteps][2];
  RowSight rows[kGroups][2];  // of columns 2 * (lane % 4) + 0..1 of the scores
  float outputs[kGroups][kOutputTiles][4];
  float greatest[kGroups][2];
  float sums[kGroups][2];  // of this lane's tokens

  __device__ void load_queries() {
#pragma unroll
    for (int g = 0; g < kGroups; ++g) {
      const int row = 8 * g + lane / 4;
      const DecodeRow place(p, item, min(row, item.num_rows - 1));
      const std::byte* query = p.query + p.row_of(item.sequence, place.query_token, place.query_head) * p.key_dim * 2;
#pragma unroll
      for (int k = 0; k < kSteps; ++k) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          const int column = 16 * k + 8 * half + lane % 4 * 2;
          const bool is_there = row < item.num_rows && column < p.key_dim;
          queries[g][k][half] = is_there ? *reinterpret_cast<const uint32_t*>(query + column * 2) : 0;
        }
      }
    }
  }

  __device__ void begin() {
    load_queries();
#pragma unroll
    for (int g = 0; g < kGroups; ++g) {
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const int row = 8 * g + lane % 4 * 2 + i;
        if (row < item.num_rows) rows[g][i] = RowSight(p, item, DecodeRow(p, item, row));
        greatest[g][i] = kMinusInfinity;
        sums[g][i] = 0;
      }
#pragma unroll
      for (int tile = 0; tile < kOutputTiles; ++tile) {
#pragma unroll
        for (int i = 0; i < 4; ++i) outputs[g][tile][i] = 0;
      }
    }
  }

  /// Looks up the block of this lane's token in a tile, for the load of that tile.
  __device__ void find_block(int32_t first) {
    const int32_t position = first + lane % 16;
    const bool is_there = position >= item.begin && position < item.end;
    next_block = is_there ? static_cast<int32_t>(p.block_of(item.sequence, position)) : -1;
  }

  template <typename Tile>
  __device__ void copy_tokens(uint32_t to, const std::byte* token, int first_lane, int head_bytes) const {
    constexpr int kPieces = kDecodeTokens * Tile::kPieces;
#pragma unroll
    for (int i = 0; i < kPieces / 32; ++i) {
      const int row = (32 * i + lane) / Tile::kPieces;
      const int piece = (32 * i + lane) % Tile::kPieces;
      const auto from = __shfl_sync(~0u, reinterpret_cast<unsigned long long>(token), first_lane + row);
      const bool is_there = from != 0 && 16 * piece < head_bytes;
      copy_piece_async(Tile::piece(to, row, piece),
                       is_there ? reinterpret_cast<const std::byte*>(from) + 16 * piece : nullptr, p.query);
    }
  }

  /// Begins to bring the tile from `first` on, whose blocks were found, and looks up those of the next one.
  __device__ void load(int32_t first, int stage) {
    if (first < item.end) {
      const int32_t block = next_block;
      const int32_t token_in_block = (first + lane % 16) % p.view.tokens_per_block;
      const KvPlane& plane = lane < 16 ? p.view.keys : p.view.values;
      const std::byte* token = block < 0 ? nullptr : plane.head(block, token_in_block, item.kv_head);
      const uint32_t is_there = __ballot_sync(~0u, block >= 0) & 0xffff;
      if (lane == 0) present[stage] = is_there;
      find_block(first + kStride);
      const uint32_t to = shared + stage * Ring::kStageBytes;
      copy_tokens<KeyTile>(to, token, 0, p.view.keys.head_bytes);
      copy_tokens<ValueTile>(to + Ring::kKeyBytes, token, 16, p.view.values.head_bytes);
    }
    commit_copies();
  }

  __device__ void multiply_keys(float (&scores)[kGroups][4], int stage) const {
    float odd[kGroups][4] = {};
    const uint32_t keys = shared + stage * Ring::kStageBytes;
#pragma unroll
    for (int k = 0; k < kSteps; ++k) {
      uint32_t key[4];
      load_matrices(key, KeyTile::piece(keys, lane % 16, 2 * k + lane / 16));
#pragma unroll
      for (int g = 0; g < kGroups; ++g) {
        multiply<dtype>(k % 2 == 0 ? scores[g] : odd[g], key, queries[g][k][0], queries[g][k][1]);
      }
    }
#pragma unroll
    for (int g = 0; g < kGroups; ++g) {
#pragma unroll
      for (int i = 0; i < 4; ++i) scores[g][i] += odd[g][i];
    }
  }

  /// Scores become logits in base 2, and -infinity where a row does not see the token.
  __device__ void make_logits(float (&scores)[kGroups][4], int32_t first, int stage) const {
    const uint32_t is_there = present[stage];
    const int32_t first_query = item.length - p.query_length;
    const bool is_plain = p.soft_cap == 0 && p.alibi_slopes == nullptr;
    const float scale_log2 = p.softmax_scale * kLog2E;
    // Of every row the window's begin is before that of the last.
    const bool sees_all =
        is_there == 0xffff && first + kDecodeTokens <= first_query && first >= p.window_begin(item.length - 1);
#pragma unroll
    for (int g = 0; g < kGroups; ++g) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int token = lane / 4 + i / 2 * 8;
        const RowSight& row = rows[g][i % 2];
        float& score = scores[g][i];
        score = is_plain ? score * scale_log2 : decode_logit_log2(p, row, score, first + token);
        if (!sees_all && ((is_there >> token & 1) == 0 || !row.sees(first + token, first_query)))
          score = kMinusInfinity;
      }
    }
  }

  /// Logits become weights relative to the greatest so far, and what was summed before with them.
  __device__ void weigh(float (&scores)[kGroups][4]) {
#pragma unroll
    for (int g = 0; g < kGroups; ++g) {
      float rescale[2];
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        float highest = fmaxf(greatest[g][i], fmaxf(scores[g][i], scores[g][i + 2]));
        for (int distance = 4; distance < 32; distance *= 2) {
          highest = fmaxf(highest, __shfl_xor_sync(~0u, highest, distance));
        }
        const float shift = highest == kMinusInfinity ? 0 : highest;
        rescale[i] = fast_exp2(greatest[g][i] - shift);
        greatest[g][i] = highest;
        scores[g][i] = fast_exp2(scores[g][i] - shift);
        scores[g][i + 2] = fast_exp2(scores[g][i + 2] - shift);
        sums[g][i] = fmaf(sums[g][i], rescale[i], scores[g][i] + scores[g][i + 2]);
      }
#pragma unroll
      for (int tile = 0; tile < kOutputTiles; ++tile) {
#pragma unroll
        for (int i = 0; i < 4; ++i) outputs[g][tile][i] *= rescale[i % 2];
      }
    }
  }

  __device__ void multiply_values(const float (&weights)[kGroups][4], int stage) {
    const uint32_t values = shared + stage * Ring::kStageBytes + Ring::kKeyBytes;
    uint32_t packed[kGroups][2];
#pragma unroll
    for (int g = 0; g < kGroups; ++g) {
#pragma unroll
      for (int i = 0; i < 2; ++i) packed[g][i] = transposed(pack_pair<dtype>(weights[g][2 * i], weights[g][2 * i + 1]));
    }
#pragma unroll
    for (int tile = 0; tile < kOutputTiles; ++tile) {
      uint32_t value[4];
      load_matrices_transposed(value, ValueTile::piece(values, lane % 8 + lane / 16 * 8, 2 * tile + lane / 8 % 2));
#pragma unroll
      for (int g = 0; g < kGroups; ++g) multiply<dtype>(outputs[g][tile], value, packed[g][0], packed[g][1]);
    }
  }

  __device__ void run() {
    const int32_t first_tile = item.begin / kStride * kStride + warp * kDecodeTokens;
    find_block(first_tile);
#pragma unroll
    for (int stage = 0; stage < Ring::kStages - 1; ++stage) load(first_tile + stage * kStride, stage);
    begin();
    int stage = 0;
    for (int32_t first = first_tile; first < item.end; first += kStride) {
      wait_for_copies_of_warp<Ring::kStages - 2>();
      const int free_stage = stage == 0 ? Ring::kStages - 1 : stage - 1;
      load(first + (Ring::kStages - 1) * kStride, free_stage);
      float scores[kGroups][4] = {};
      multiply_keys(scores, stage);
      make_logits(scores, first, stage);
      weigh(scores);
      multiply_values(scores, stage);
      stage = stage == Ring::kStages - 1 ? 0 : stage + 1;
    }
    wait_for_copies_of_warp<0>();
  }

  __device__ void store(const WarpResults& results) const {
#pragma unroll
    for (int g = 0; g < kGroups; ++g) {
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const int row = 8 * g + lane % 4 * 2 + i;
        float* to = results.output(warp, row) + lane / 4;
#pragma unroll
        for (int tile = 0; tile < kOutputTiles; ++tile) {
          to[16 * tile] = outputs[g][tile][i];
          to[16 * tile + 8] = outputs[g][tile][i + 2];
        }
        float sum = sums[g][i];
        for (int distance = 4; distance < 32; distance *= 2) sum += __shfl_xor_sync(~0u, sum, distance);
        if (lane < 4) *reinterpret_cast<float2*>(results.sum(warp, row)) = {greatest[g][i], sum};
      }
    }
  }
};

#endif

template <Dtype dtype, int kKeyWidth, int kValueWidth, int kGroups>
__device__ void decode_attention_mma(const DecodeKernelParams& params) {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
  using Decode = MmaDecode<dtype, kKeyWidth, kValueWidth, kGroups>;
  using Ring = DecodeRing<kKeyWidth, kValueWidth>;
  extern __shared__ __align__(128) std::byte memory[];
  __shared__ uint32_t present[kDecodeWarps][Ring::kStages];
  __shared__ __align__(8) float sums[kDecodeWarps * Decode::kRows * 2];
  // In the rings' place, once they are read. Pitched so that a warp's store meets no bank twice.
  const WarpResults results{reinterpret_cast<float*>(memory), sums, Decode::kRows, kValueWidth + 4};
  static_assert(kDecodeWarps * Decode::kRows * (kValueWidth + 4) * 4 <= Ring::kSharedBytes);
  const DecodeItems<Decode::kRows> items(params);
  const int warp = threadIdx.x / 32;
  for (int64_t i = blockIdx.x; i < items.count(); i += gridDim.x) {
    const DecodeItem item = items[i];
    Decode decode{params, params.attention, item, memory + warp * Ring::kBytes, present[warp]};
    decode.run();
    __syncthreads();
    decode.store(results);
    __syncthreads();
    store_item(params, item, results);
    __syncthreads();
  }
#else
  // A newer GPU under a driver that compiles the PTX of an older one.
  decode_attention_plain<dtype, kKeyWidth <= 128 && kValueWidth <= 128 ? 4 : 8>(params);
#endif
}

}  // namespace kv

#define KV_DECODE_MMA(dtype, key_width, value_width, groups)                                          \
  extern "C" __global__ void __launch_bounds__(kv::kDecodeThreads,                                    \
                                               kv::DecodeRing<key_width, value_width>::kBlocksAtOnce) \
      decode_attention_mma_##dtype##_##key_width##_##value_width##_##groups(                          \
          const __grid_constant__ kv::DecodeKernelParams params) {                                    \
    kv::decode_attention_mma<kv::Dtype::dtype, key_width, value_width, groups>(params);               \
  }
#ifdef KV_DECODE_BENCH_ONLY
KV_DECODE_MMA(bf16, 128, 128, 1)
KV_DECODE_MMA(bf16, 64, 64, 1)
#else
#define KV_DECODE_MMA_WIDTHS(dtype) \
  KV_DECODE_MMA(dtype, 64, 64, 1)   \
  KV_DECODE_MMA(dtype, 64, 64, 2)   \
  KV_DECODE_MMA(dtype, 96, 96, 1)   \
  KV_DECODE_MMA(dtype, 96, 96, 2)   \
  KV_DECODE_MMA(dtype, 128, 128, 1) \
  KV_DECODE_MMA(dtype, 128, 128, 2) \
  KV_DECODE_MMA(dtype, 192, 128, 1) \
  KV_DECODE_MMA(dtype, 192, 128, 2) \
  KV_DECODE_MMA(dtype, 256, 256, 1)
KV_DECODE_MMA_WIDTHS(fp16)
KV_DECODE_MMA_WIDTHS(bf16)
#undef KV_DECODE_MMA_WIDTHS
#endif
#undef KV_DECODE_MMA
