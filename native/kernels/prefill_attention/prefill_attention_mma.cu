#include "kernels/mma_tiles.h"
#include "kernels/prefill_attention/prefill_attention_plain.cu"
#include "kernels/prefill_attention/prefill_attention_rows.h"

// Tensor cores by mma.sync, for every GPU from sm_80 on. A thread block of four warps takes 64 query rows of one head,
// each warp 16 of them. Keys and values come in tiles of 64 tokens, by cp.async, one ahead of the other: while the
// scores of a tile are made its values arrive, and while its values are weighted the next keys do. A row of shared
// memory is stored with its 16-byte pieces permuted by the row, so that ldmatrix meets no bank twice.

namespace kv {

constexpr int kMmaTokens = 64;
constexpr int kMmaThreads = 128;

/// Thread blocks of a multiprocessor, which is what the registers are shared out for.
KV_DEVICE constexpr int mma_blocks_at_once(int key_width) {
  return key_width <= 192 ? 3 : 2;
}

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800

/// Where the tokens of a tile are; block -1: seen by nobody.
struct TokenPlace {
  int32_t block;
  int32_t token;
};

template <Dtype dtype, int kKeyWidth, int kValueWidth>
struct MmaPrefill {
  using KeyTile = SharedTile<kKeyWidth>;
  using ValueTile = SharedTile<kValueWidth>;
  static constexpr int kKeyOffset = kMmaRows * KeyTile::kRowBytes;
  static constexpr int kValueOffset = kKeyOffset + kMmaTokens * KeyTile::kRowBytes;
  static constexpr int kPlaceOffset = kValueOffset + kMmaTokens * ValueTile::kRowBytes;
  static constexpr int kSharedBytes = kPlaceOffset + 2 * kMmaTokens * static_cast<int>(sizeof(TokenPlace));
  static constexpr int kScoreGroups = kMmaTokens / 8;
  static constexpr int kOutputGroups = kValueWidth / 8;

  const PrefillAttentionParams& p;
  const QueryTile tile;
  std::byte* const memory;
  const uint32_t shared = static_cast<uint32_t>(__cvta_generic_to_shared(memory));
  const int lane = threadIdx.x % 32;
  const int warp_row = threadIdx.x / 32 * 16;

  __device__ TokenPlace* places(int32_t key_tile) const {
    return reinterpret_cast<TokenPlace*>(memory + kPlaceOffset) + key_tile % 2 * kMmaTokens;
  }

  __device__ void find_places(int32_t key_tile) const {
    if (threadIdx.x >= kMmaTokens) return;
    const int32_t position = key_tile * kMmaTokens + static_cast<int32_t>(threadIdx.x);
    const int64_t block = position < tile.length ? p.block_of(tile.sequence, position) : -1;
    places(key_tile)[threadIdx.x] = {static_cast<int32_t>(block), position % p.view.tokens_per_block};
  }

  __device__ void load_query() const {
    for (int i = threadIdx.x; i < kMmaRows * KeyTile::kPieces; i += kMmaThreads) {
      const int row = i / KeyTile::kPieces;
      const int piece = i % KeyTile::kPieces;
      const bool is_there = row < tile.num_rows && 8 * piece < p.key_dim;
      const int64_t head_row = p.row_of(tile.first_row + row, tile.head);
      copy_piece_async(KeyTile::piece(shared, row, piece),
                       is_there ? p.query + (head_row * p.key_dim + 8 * piece) * 2 : nullptr, p.query);
    }
  }

  template <typename Tile>
  __device__ void load_tokens(const KvPlane& plane, int32_t key_tile, int offset) const {
    const TokenPlace* const place = places(key_tile);
    const int32_t kv_head = tile.head / p.query_heads_per_kv_head();
    for (int i = threadIdx.x; i < kMmaTokens * Tile::kPieces; i += kMmaThreads) {
      const int row = i / Tile::kPieces;
      const int piece = i % Tile::kPieces;
      const auto [block, token] = place[row];
      const bool is_there = block >= 0 && 16 * piece < plane.head_bytes;
      copy_piece_async(Tile::piece(shared + offset, row, piece),
                       is_there ? plane.head(block, token, kv_head) + 16 * piece : nullptr, p.query);
    }
  }

  __device__ void multiply_keys(float (&scores)[kScoreGroups][4]) const {
#pragma unroll
    for (int k = 0; k < kKeyWidth / 16; ++k) {
      uint32_t query[4];
      load_matrices(query, KeyTile::piece(shared, warp_row + lane % 16, 2 * k + lane / 16));
#pragma unroll
      for (int g = 0; g < kScoreGroups; g += 2) {
        uint32_t keys[4];
        const int row = 8 * g + lane % 8 + lane / 16 * 8;
        load_matrices(keys, KeyTile::piece(shared + kKeyOffset, row, 2 * k + lane / 8 % 2));
        multiply<dtype>(scores[g], query, keys[0], keys[1]);
        multiply<dtype>(scores[g + 1], query, keys[2], keys[3]);
      }
    }
  }

  __device__ void multiply_values(float (&outputs)[kOutputGroups][4], const float (&weights)[kScoreGroups][4]) const {
#pragma unroll
    for (int k = 0; k < kMmaTokens / 16; ++k) {
      const float (&left)[4] = weights[2 * k];
      const float (&right)[4] = weights[2 * k + 1];
      const uint32_t packed[4] = {pack_pair<dtype>(left[0], left[1]), pack_pair<dtype>(left[2], left[3]),
                                  pack_pair<dtype>(right[0], right[1]), pack_pair<dtype>(right[2], right[3])};
#pragma unroll
      for (int g = 0; g < kOutputGroups; g += 2) {
        uint32_t values[4];
        load_matrices_transposed(values, ValueTile::piece(shared + kValueOffset, 16 * k + lane % 16, g + lane / 16));
        multiply<dtype>(outputs[g], packed, values[0], values[1]);
        multiply<dtype>(outputs[g + 1], packed, values[2], values[3]);
      }
    }
  }

  /// Hides the tokens that have no place.
  __device__ void hide_absent(float (&scores)[kScoreGroups][4], int32_t key_tile) const {
    const TokenPlace* const place = places(key_tile);
    const uint32_t low = __ballot_sync(~0u, place[lane].block < 0);
    const uint32_t high = __ballot_sync(~0u, place[lane + 32].block < 0);
    if ((low | high) == 0) return;
    const uint64_t absent = (uint64_t{high} << 32 | low) >> (lane % 4 * 2);
#pragma unroll
    for (int g = 0; g < kScoreGroups; ++g) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        if ((absent >> (8 * g + i % 2) & 1) != 0) scores[g][i] = kMinusInfinity;
      }
    }
  }

  __device__ void run() const {
    const ScoreRules rules(p);
    const float scale_log2 = rules.scale_log2();
    const int32_t first_tile = tile.key_begin(p.window_tokens) / kMmaTokens;
    const int32_t end_tile = (tile.key_end() + kMmaTokens - 1) / kMmaTokens;
    const int32_t first_row = tile.first_position + warp_row;
    SoftmaxRows softmax;
    float outputs[kOutputGroups][4] = {};
    find_places(first_tile);
    __syncthreads();
    load_query();
    if (first_tile < end_tile) load_tokens<KeyTile>(p.view.keys, first_tile, kKeyOffset);
    commit_copies();
    for (int32_t key_tile = first_tile; key_tile < end_tile; ++key_tile) {
      load_tokens<ValueTile>(p.view.values, key_tile, kValueOffset);
      commit_copies();
      if (key_tile + 1 < end_tile) find_places(key_tile + 1);
      wait_for_copies<1>();
      float scores[kScoreGroups][4] = {};
      multiply_keys(scores);
      __syncthreads();
      if (key_tile + 1 < end_tile) load_tokens<KeyTile>(p.view.keys, key_tile + 1, kKeyOffset);
      commit_copies();
      if (p.soft_cap != 0) rules.cap(scores);
      const int32_t first_token = key_tile * kMmaTokens;
      if (rules.hides(first_row, first_row + 15, first_token, kMmaTokens)) {
        rules.mask(scores, first_row + lane / 4, first_token);
      }
      hide_absent(scores, key_tile);
      float rescale[2];
      if (softmax.raise(scores, scale_log2, rescale)) {
#pragma unroll
        for (int g = 0; g < kOutputGroups; ++g) {
#pragma unroll
          for (int i = 0; i < 4; ++i) outputs[g][i] *= rescale[i / 2];
        }
      }
      softmax.weigh(scores, scale_log2);
      wait_for_copies<1>();
      multiply_values(outputs, scores);
      __syncthreads();
    }
    float factor[2];
    finish_rows(p, tile, warp_row + lane / 4, softmax, factor);
    store_rows<dtype>(p, tile, warp_row + lane / 4, outputs, factor);
  }
};

#endif

template <Dtype dtype, int kKeyWidth, int kValueWidth>
__device__ void prefill_attention_mma(const PrefillKernelParams& params) {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
  extern __shared__ __align__(128) std::byte memory[];
  const QueryTile tile = find_query_tile<kMmaRows>(params, static_cast<int32_t>(blockIdx.x));
  if (tile.num_rows == 0) return;
  MmaPrefill<dtype, kKeyWidth, kValueWidth>{params.attention, tile, memory}.run();
#else
  // A newer GPU under a driver that compiles the PTX of an older one.
  plain_tile<kMmaRows>(params, static_cast<int32_t>(blockIdx.x));
#endif
}

}  // namespace kv

#define KV_PREFILL_MMA(dtype, key_width, value_width)                                              \
  extern "C" __global__ void __launch_bounds__(kv::kMmaThreads, kv::mma_blocks_at_once(key_width)) \
      prefill_attention_mma_##dtype##_##key_width##_##value_width(                                 \
          const __grid_constant__ kv::PrefillKernelParams params) {                                \
    kv::prefill_attention_mma<kv::Dtype::dtype, key_width, value_width>(params);                   \
  }
#define KV_PREFILL_MMA_WIDTHS(dtype) \
  KV_PREFILL_MMA(dtype, 64, 64)      \
  KV_PREFILL_MMA(dtype, 96, 96)      \
  KV_PREFILL_MMA(dtype, 128, 128)    \
  KV_PREFILL_MMA(dtype, 192, 128)    \
  KV_PREFILL_MMA(dtype, 256, 256)
KV_PREFILL_MMA_WIDTHS(fp16)
KV_PREFILL_MMA_WIDTHS(bf16)
#undef KV_PREFILL_MMA
#undef KV_PREFILL_MMA_WIDTHS
