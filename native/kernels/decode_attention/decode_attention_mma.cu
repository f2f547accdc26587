#include "kernels/decode_attention/decode_attention_plain.cu"
#include "kernels/decode_attention/decode_attention_tiles.h"
#include "kernels/mma_tiles.h"

// Tensor cores by mma.sync, for every GPU from sm_80 on. As many thread blocks as fit take the items by turns: some
// rows of one KV head over one chunk. Of every 64 tokens each of the four warps takes a tile of 16 by itself: it brings
// them by cp.async into a ring of its own, across the ends of the items, so that enough bytes are under way at all
// times to keep the memory busy. At the end of an item the other warps hand what they have to the first, and go on.
// Tokens are the rows of both products: keys times queries gives scores whose columns are up to eight query rows, and
// values, transposed, times their weights gives the output of the same columns.

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
  using Memory = DecodeMemory<kKeyWidth, kValueWidth>;
#ifdef __CUDA_ARCH__
  static constexpr int kStages = Memory::stages(__CUDA_ARCH__ / 10);
#else
  static constexpr int kStages = 3;
#endif
  static constexpr int kRingBytes = kStages * Memory::kStageBytes;
  using KeyTile = SharedTile<kKeyWidth>;
  using ValueTile = SharedTile<kValueWidth>;
  static constexpr int kRows = 8 * kGroups;
  static constexpr int kSteps = kKeyWidth / 16;
  static constexpr int kOutputTiles = kValueWidth / 16;
  static constexpr int kStride = kDecodeTokens * kDecodeWarps;
  static_assert(KeyTile::kRowBytes == Memory::kKeyRowBytes && ValueTile::kRowBytes == Memory::kValueRowBytes);

  const DecodeKernelParams& params;
  const DecodeAttentionParams& p;
  const DecodeItems<kRows>& items;
  const uint32_t ring;        // of this warp
  uint32_t* const present;    // [stages]: bit i of a stage: its token i is there to see
  float4* const handed;       // [warps but the first, output tiles, lanes]
  float2* const handed_sums;  // [warps but the first, 8]
  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32;

  /// What is brought next: a tile of some item, which is this one or one ahead.
  struct Ahead {
    int64_t index;
    int32_t first;  // position of the tile
    int32_t begin;
    int32_t end;
    int32_t sequence;
    int32_t kv_head;
    int32_t block;  // of token lane % 16 of the tile
  } ahead;
  DecodeItem item;
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
        rows[g][i] = row < item.num_rows ? RowSight(p, item, DecodeRow(p, item, row)) : RowSight();
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

  /// The first tile of this warp in an item.
  __device__ int32_t first_tile(int32_t begin) const { return begin / kStride * kStride + warp * kDecodeTokens; }

  /// Goes ahead to an item that has a tile for this warp, the one at `ahead.index` or a later one.
  __device__ void find_item() {
    for (; items.count() > ahead.index; ahead.index += gridDim.x) {
      const DecodeItem next = items[ahead.index];
      ahead.first = first_tile(next.begin);
      ahead.begin = next.begin;
      ahead.end = next.end;
      ahead.sequence = next.sequence;
      ahead.kv_head = next.kv_head;
      if (ahead.first < ahead.end) return;
    }
    ahead.end = 0;
    ahead.first = 0;
  }

  /// Begins to look up the blocks of the tile that is brought next.
  __device__ void find_block() {
    const int32_t position = ahead.first + lane % 16;
    const bool is_there = position >= ahead.begin && position < ahead.end;
    ahead.block = is_there ? static_cast<int32_t>(p.block_of(ahead.sequence, position)) : -1;
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

  /// Begins to bring the next tile, and goes ahead to the one after it.
  __device__ void load(int stage) {
    if (ahead.first < ahead.end) {
      const int32_t block = ahead.block;
      const int32_t token_in_block = (ahead.first + lane % 16) % p.view.tokens_per_block;
      const KvPlane& plane = lane < 16 ? p.view.keys : p.view.values;
      const std::byte* token = block < 0 ? nullptr : plane.head(block, token_in_block, ahead.kv_head);
      const uint32_t is_there = __ballot_sync(~0u, block >= 0) & 0xffff;
      if (lane == 0) present[stage] = is_there;
      ahead.first += kStride;
      if (ahead.first >= ahead.end) {
        ahead.index += gridDim.x;
        find_item();
      }
      find_block();
      const uint32_t to = ring + stage * Memory::kStageBytes;
      copy_tokens<KeyTile>(to, token, 0, p.view.keys.head_bytes);
      copy_tokens<ValueTile>(to + Memory::kKeyBytes, token, 16, p.view.values.head_bytes);
    }
    commit_copies();
  }

  __device__ void multiply_keys(float (&scores)[kGroups][4], int stage) const {
    float odd[kGroups][4] = {};
    const uint32_t keys = ring + stage * Memory::kStageBytes;
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
    const uint32_t values = ring + stage * Memory::kStageBytes + Memory::kKeyBytes;
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

  /// Hands the columns of a group to the first warp.
  __device__ void hand(int g) const {
#pragma unroll
    for (int tile = 0; tile < kOutputTiles; ++tile) {
      const float (&from)[4] = outputs[g][tile];
      handed[((warp - 1) * kOutputTiles + tile) * 32 + lane] = {from[0], from[1], from[2], from[3]};
    }
    if (lane < 4) {
#pragma unroll
      for (int i = 0; i < 2; ++i) handed_sums[(warp - 1) * 8 + 2 * lane + i] = {greatest[g][i], sums[g][i]};
    }
  }

  /// Adds up what the other warps handed over to what the first has, in their order.
  __device__ void take(int g) {
    float factors[kDecodeWarps][2];
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      float2 theirs[kDecodeWarps];
      theirs[0] = {greatest[g][i], sums[g][i]};
      float highest = greatest[g][i];
#pragma unroll
      for (int other = 1; other < kDecodeWarps; ++other) {
        theirs[other] = handed_sums[(other - 1) * 8 + lane % 4 * 2 + i];
        highest = fmaxf(highest, theirs[other].x);
      }
      const float shift = highest == kMinusInfinity ? 0 : highest;
      float sum = 0;
#pragma unroll
      for (int other = 0; other < kDecodeWarps; ++other) {
        factors[other][i] = fast_exp2(theirs[other].x - shift);
        sum = fmaf(factors[other][i], theirs[other].y, sum);
      }
      greatest[g][i] = highest;
      sums[g][i] = sum;
    }
#pragma unroll
    for (int tile = 0; tile < kOutputTiles; ++tile) {
      float (&to)[4] = outputs[g][tile];
#pragma unroll
      for (int i = 0; i < 4; ++i) to[i] *= factors[0][i % 2];
#pragma unroll
      for (int other = 1; other < kDecodeWarps; ++other) {
        const float4 from = handed[((other - 1) * kOutputTiles + tile) * 32 + lane];
        to[0] = fmaf(factors[other][0], from.x, to[0]);
        to[1] = fmaf(factors[other][1], from.y, to[1]);
        to[2] = fmaf(factors[other][0], from.z, to[2]);
        to[3] = fmaf(factors[other][1], from.w, to[3]);
      }
    }
  }

  /// Writes the columns of a group: the result of a sequence of one chunk, or a partial one.
  __device__ void store(int g) const {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const int row = 8 * g + lane % 4 * 2 + i;
      if (row >= item.num_rows) continue;
      const DecodeRow place(p, item, row);
      const int64_t row_of_all = p.row_of(item.sequence, place.query_token, place.query_head);
      if (item.num_chunks == 1) {
        const FinishedRow finished(p, place.query_head, greatest[g][i], sums[g][i]);
#pragma unroll
        for (int half = 0; half < 2 * kOutputTiles; ++half) {
          const int column = 8 * half + lane / 4;
          if (column < p.value_dim) finished.store(p, row_of_all, column, outputs[g][half / 2][half % 2 * 2 + i]);
        }
      } else {
        const int64_t partial = params.partial_of(row_of_all, item.chunk);
        float* to = params.partial_outputs + partial * p.value_dim;
#pragma unroll
        for (int half = 0; half < 2 * kOutputTiles; ++half) {
          const int column = 8 * half + lane / 4;
          if (column < p.value_dim) to[column] = outputs[g][half / 2][half % 2 * 2 + i];
        }
        if (lane < 4) reinterpret_cast<float2*>(params.partial_sums)[partial] = {greatest[g][i], sums[g][i]};
      }
    }
  }

  /// Brings what the warps have together.
  __device__ void finish() {
#pragma unroll
    for (int g = 0; g < kGroups; ++g) {
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        for (int distance = 4; distance < 32; distance *= 2) {
          sums[g][i] += __shfl_xor_sync(~0u, sums[g][i], distance);
        }
      }
      // The memory is of one group of one item: what is in it from the last one is taken by now.
      __syncthreads();
      if (warp != 0) hand(g);
      __syncthreads();
      if (warp != 0) continue;
      take(g);
      store(g);
    }
  }

  __device__ void run() {
    ahead.index = blockIdx.x;
    find_item();
    find_block();
#pragma unroll
    for (int stage = 0; stage < kStages - 1; ++stage) load(stage);
    int stage = 0;
    for (int64_t index = blockIdx.x; index < items.count(); index += gridDim.x) {
      item = items[index];
      begin();
      for (int32_t first = first_tile(item.begin); first < item.end; first += kStride) {
        wait_for_copies_of_warp<kStages - 2>();
        load(stage == 0 ? kStages - 1 : stage - 1);
        float scores[kGroups][4] = {};
        multiply_keys(scores, stage);
        make_logits(scores, first, stage);
        weigh(scores);
        multiply_values(scores, stage);
        stage = stage == kStages - 1 ? 0 : stage + 1;
      }
      finish();
    }
    wait_for_copies_of_warp<0>();
  }
};

#endif

template <Dtype dtype, int kKeyWidth, int kValueWidth, int kGroups>
__device__ void decode_attention_mma(const DecodeKernelParams& params) {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
  using Decode = MmaDecode<dtype, kKeyWidth, kValueWidth, kGroups>;
  extern __shared__ __align__(128) std::byte memory[];
  __shared__ uint32_t present[kDecodeWarps][Decode::kStages];
  __shared__ float2 handed_sums[(kDecodeWarps - 1) * 8];
  const DecodeItems<Decode::kRows> items(params);
  const int warp = threadIdx.x / 32;
  const uint32_t ring = static_cast<uint32_t>(__cvta_generic_to_shared(memory)) + warp * Decode::kRingBytes;
  auto* handed = reinterpret_cast<float4*>(memory + kDecodeWarps * Decode::kRingBytes);
  Decode{params, params.attention, items, ring, present[warp], handed, handed_sums}.run();
#else
  // A newer GPU under a driver that compiles the PTX of an older one.
  decode_attention_plain<dtype, kKeyWidth <= 128 && kValueWidth <= 128 ? 4 : 8>(params);
#endif
}

}  // namespace kv

#define KV_DECODE_MMA(dtype, key_width, value_width, groups)                                               \
  extern "C" __global__ void __launch_bounds__(kv::kDecodeThreads,                                         \
                                               kv::DecodeMemory<key_width, value_width>::blocks_at_once()) \
      decode_attention_mma_##dtype##_##key_width##_##value_width##_##groups(                               \
          const __grid_constant__ kv::DecodeKernelParams params) {                                         \
    kv::decode_attention_mma<kv::Dtype::dtype, key_width, value_width, groups>(params);                    \
  }
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
#undef KV_DECODE_MMA
