#include "kernels/prefill_attention/copy_engine.h"
#include "kernels/prefill_attention/prefill_attention_plain.cu"
#include "kernels/prefill_attention/prefill_attention_rows.h"
#include "kernels/prefill_attention/prefill_attention_wgmma.h"
#include "kernels/prefill_attention/warp_group_products.h"

// Tensor cores by the warp-group instructions of sm_90a. A thread block of three warp groups takes 128 query rows of
// one head. Two warps of the first group have the copy engine bring the queries and tile after tile of keys, and of
// values, into two stages each. The other two groups have 64 rows each and take turns: while the tensor cores multiply
// for one, the other makes weights of its scores. Within a group, too, the scores of a tile are begun before the values
// of the tile before are weighted. Tiles go from the last to the first, since the last are the ones that need masks.

namespace kv {

#ifdef __CUDA_ARCH_FEAT_SM90_ALL

template <Dtype dtype, int kKeyWidth, int kValueWidth, int kTokens>
struct WarpGroupPrefill {
  using Memory = WarpGroupMemory<kKeyWidth, kValueWidth, kTokens>;
  static constexpr int kScoreGroups = kTokens / 8;
  static constexpr int kOutputGroups = kValueWidth / 8;
  static constexpr int kProductGroups = kOutputGroups < 16 ? kOutputGroups : 16;
  static constexpr int kChunkBytes = kTokens * 128;  // 64 columns of a tile's tokens
  static constexpr int kQueryChunkBytes = kWarpGroupRows * 128;

  const WarpGroupKernelParams& params;
  const PrefillAttentionParams& p;
  const QueryTile tile;
  std::byte* const memory;
  const uint32_t shared;
  const int32_t first_tile;
  const int32_t num_tiles;

  __device__ WarpGroupPrefill(const WarpGroupKernelParams& all, const QueryTile& mine, std::byte* aligned)
      : params(all),
        p(all.kernel.attention),
        tile(mine),
        memory(aligned),
        shared(static_cast<uint32_t>(__cvta_generic_to_shared(aligned))),
        first_tile(mine.key_begin(p.window_tokens) / kTokens),
        num_tiles(max((mine.key_end() + kTokens - 1) / kTokens - first_tile, 0)) {}

  __device__ uint32_t barrier(int index) const { return shared + Memory::kBarriers + 8 * index; }
  __device__ uint32_t query_full() const { return barrier(0); }
  __device__ uint32_t values_staged() const { return barrier(1); }
  __device__ uint32_t keys_full(int stage) const { return barrier(2 + stage); }
  __device__ uint32_t keys_empty(int stage) const { return barrier(4 + stage); }
  __device__ uint32_t values_full(int stage) const { return barrier(6 + stage); }
  __device__ uint32_t values_empty(int stage) const { return barrier(8 + stage); }
  __device__ volatile uint32_t* absent_pieces(int stage) const {
    return reinterpret_cast<volatile uint32_t*>(memory + Memory::kBarriers + 80) + stage;
  }
  __device__ uint32_t keys(int stage) const { return shared + Memory::kKeys + stage * Memory::kKeyBytes; }
  __device__ uint32_t values(int stage) const { return shared + Memory::kValues + stage * Memory::kValueBytes; }

  /// The tile that is taken `step`th.
  __device__ int32_t tile_at(int32_t step) const { return first_tile + num_tiles - 1 - step; }

  __device__ void init_barriers() const {
    constexpr int kConsumerWarps = 8;
    init_barrier(query_full(), 1);
    init_barrier(values_staged(), 1);
    for (int stage = 0; stage < 2; ++stage) {
      init_barrier(keys_full(stage), 1);
      init_barrier(keys_empty(stage), kConsumerWarps);
      init_barrier(values_full(stage), 1);
      init_barrier(values_empty(stage), kConsumerWarps);
    }
    fence_for_engines();
  }

  // The two producing warps: one brings queries and keys, the other values.

  /// What a lane brings of a tile, and which pieces are seen by nobody: they become zeros.
  struct Piece {
    int32_t block;
    int32_t token;
    uint32_t absent;
  };

  __device__ Piece find_piece(int32_t step) const {
    const int32_t tokens_per_block = p.view.tokens_per_block;
    const int32_t first = static_cast<int32_t>(threadIdx.x % 32) * params.piece_tokens;
    const int32_t position = tile_at(step) * kTokens + first;
    const bool is_there = step < num_tiles && first < kTokens && position < tile.length;
    const int32_t index = position / tokens_per_block;
    int32_t block = is_there ? tile.sequence : -1;
    if (is_there && p.block_tables != nullptr) block = p.block_tables[int64_t{tile.sequence} * p.max_blocks + index];
    const bool is_block = block >= 0 && block < p.view.num_blocks;
    // Past the last block the copy engine reads zeros.
    return {is_block ? block : static_cast<int32_t>(p.view.num_blocks), position - index * tokens_per_block,
            __ballot_sync(~0u, is_there && !is_block)};
  }

  template <int kWidth>
  __device__ void load_tokens(const TensorMap& map, const Piece& piece, uint32_t to, uint32_t full) const {
    const int32_t first = static_cast<int32_t>(threadIdx.x % 32) * params.piece_tokens;
    if (threadIdx.x % 32 == 0) arrive_expecting(full, kTokens * kWidth * 2);
    __syncwarp();
    if (first >= kTokens) return;
    const int32_t kv_head = tile.head / p.query_heads_per_kv_head();
#pragma unroll
    for (int chunk = 0; chunk < kWidth / 64; ++chunk) {
      copy_box(to + chunk * kChunkBytes + first * 128, map, 64 * chunk, piece.token, kv_head, piece.block, full);
    }
  }

  __device__ void load_query() const {
    if (threadIdx.x != 0) return;
    arrive_expecting(query_full(), Memory::kQueryBytes);
    for (int chunk = 0; chunk < kKeyWidth / 64; ++chunk) {
      copy_box(shared + chunk * kQueryChunkBytes, params.query_map, 64 * chunk, tile.head, tile.first_row,
               query_full());
    }
  }

  __device__ void produce_keys() const {
    Piece piece = find_piece(0);
    load_query();
    for (int32_t step = 0; step < num_tiles; ++step) {
      const int stage = step % 2;
      // Looked up while this one waits.
      const Piece next = find_piece(step + 1);
      wait_for(keys_empty(stage), (step / 2 + 1) % 2);
      // The consumers read this once the phase is over that the loads complete.
      if (threadIdx.x == 0) *absent_pieces(stage) = piece.absent;
      load_tokens<kKeyWidth>(params.key_map, piece, keys(stage), keys_full(stage));
      piece = next;
    }
  }

  __device__ void produce_values() const {
    Piece piece = find_piece(0);
    for (int32_t step = 0; step < num_tiles; ++step) {
      const int stage = step % 2;
      const Piece next = find_piece(step + 1);
      wait_for(values_empty(stage), (step / 2 + 1) % 2);
      // Only in the sequence's last tile, which is the first to be taken, are there places that nobody wrote.
      const int32_t num_there = tile.length - tile_at(step) * kTokens;
      const uint32_t full = num_there >= kTokens ? values_full(stage) : values_staged();
      load_tokens<kValueWidth>(params.value_map, piece, values(stage), full);
      if (num_there < kTokens) clear_values(stage, num_there);
      piece = next;
    }
  }

  /// Makes the values zero that nobody wrote: a weight of zero does not silence a NaN.
  __device__ void clear_values(int stage, int32_t num_there) const {
    wait_for(values_staged(), 0);
    std::byte* const from = memory + Memory::kValues + stage * Memory::kValueBytes;
    for (int chunk = 0; chunk < kValueWidth / 64; ++chunk) {
      for (int i = num_there * 8 + threadIdx.x % 32; i < kTokens * 8; i += 32) {
        *reinterpret_cast<uint4*>(from + chunk * kChunkBytes + i * 16) = uint4{0, 0, 0, 0};
      }
    }
    fence_for_engines();
    __syncwarp();
    if (threadIdx.x % 32 == 0) arrive(values_full(stage));
  }

  // The consuming groups.

  __device__ int group() const { return threadIdx.x / 128 - 1; }

  /// Takes turns: a group's products are queued between these two.
  __device__ void begin_turn() const { asm volatile("bar.sync %0, 256;" ::"r"(1 + group()) : "memory"); }
  __device__ void end_turn() const { asm volatile("bar.arrive %0, 256;" ::"r"(2 - group()) : "memory"); }

  __device__ void release(uint32_t empty) const {
    if (threadIdx.x % 32 == 0) arrive(empty);
  }

  __device__ void begin_scores(float (&scores)[kScoreGroups][4], int stage) const {
    fence_sums(scores);
    fence_products();
#pragma unroll
    for (int k = 0; k < kKeyWidth / 16; ++k) {
      const uint32_t query = shared + k / 4 * kQueryChunkBytes + group() * 64 * 128 + k % 4 * 32;
      multiply_rows<dtype>(scores, operand(query, kQueryChunkBytes),
                           operand(keys(stage) + k / 4 * kChunkBytes + k % 4 * 32, kChunkBytes), k != 0);
    }
    commit_products();
  }

  __device__ void begin_outputs(float (&outputs)[kOutputGroups][4], const uint32_t (&weights)[kTokens / 16][4],
                                int stage) const {
    fence_sums(outputs);
    fence_products();
#pragma unroll
    for (int k = 0; k < kTokens / 16; ++k) {
#pragma unroll
      for (int g = 0; g < kOutputGroups; g += kProductGroups) {
        multiply_columns<dtype>(reinterpret_cast<float (&)[kProductGroups][4]>(outputs[g]), weights[k],
                                operand(values(stage) + g / 8 * kChunkBytes + k * 16 * 128, kChunkBytes));
      }
    }
    commit_products();
  }

  __device__ void hide_absent(float (&scores)[kScoreGroups][4], uint32_t absent) const {
#pragma unroll
    for (int g = 0; g < kScoreGroups; ++g) {
      if ((absent >> (8 * g / params.piece_tokens) & 1) == 0) continue;
#pragma unroll
      for (int i = 0; i < 4; ++i) scores[g][i] = kMinusInfinity;
    }
  }

  /// Turns the scores of a tile into logits of what is seen.
  __device__ void apply(const ScoreRules& rules, float (&scores)[kScoreGroups][4], int32_t step,
                        uint32_t absent) const {
    const int32_t first_row = tile.first_position + group() * 64;
    const int32_t first_token = tile_at(step) * kTokens;
    if (rules.soft_cap != 0) rules.cap(scores);
    if (rules.hides(first_row, first_row + 63, first_token, kTokens)) {
      rules.mask(scores, first_row + static_cast<int32_t>(threadIdx.x % 128 / 32 * 16 + threadIdx.x % 32 / 4),
                 first_token);
    }
    if (absent != 0) hide_absent(scores, absent);
  }

  __device__ static void pack(uint32_t (&weights)[kTokens / 16][4], const float (&scores)[kScoreGroups][4]) {
#pragma unroll
    for (int k = 0; k < kTokens / 16; ++k) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const float (&pair)[4] = scores[2 * k + i / 2];
        weights[k][i] = pack_pair<dtype>(pair[i % 2 * 2], pair[i % 2 * 2 + 1]);
      }
    }
  }

  __device__ void consume() const {
    const ScoreRules rules(p);
    const float scale_log2 = rules.scale_log2();
    SoftmaxRows softmax;
    float outputs[kOutputGroups][4] = {};
    if (num_tiles > 0) {
      float scores[kScoreGroups][4];
      uint32_t weights[kTokens / 16][4];
      float rescale[2];
      if (group() == 1) end_turn();
      wait_for(query_full(), 0);
      wait_for(keys_full(0), 0);
      begin_scores(scores, 0);
      wait_for_products<0>();
      fence_sums(scores);
      uint32_t absent = *absent_pieces(0);
      release(keys_empty(0));
      apply(rules, scores, 0, absent);
      softmax.add(scores, scale_log2, rescale);
      pack(weights, scores);
#pragma unroll 1
      for (int32_t step = 1; step < num_tiles; ++step) {
        const int stage = step % 2;
        wait_for(keys_full(stage), step / 2 % 2);
        begin_turn();
        begin_scores(scores, stage);
        wait_for(values_full(1 - stage), (step - 1) / 2 % 2);
        begin_outputs(outputs, weights, 1 - stage);
        end_turn();
        wait_for_products<1>();
        fence_sums(scores);
        absent = *absent_pieces(stage);
        release(keys_empty(stage));
        apply(rules, scores, step, absent);
        softmax.add(scores, scale_log2, rescale);
        wait_for_products<0>();
        fence_sums(outputs);
        release(values_empty(1 - stage));
        pack(weights, scores);
#pragma unroll
        for (int g = 0; g < kOutputGroups; ++g) {
#pragma unroll
          for (int i = 0; i < 4; ++i) outputs[g][i] *= rescale[i / 2];
        }
      }
      const int32_t last = num_tiles - 1;
      wait_for(values_full(last % 2), last / 2 % 2);
      begin_outputs(outputs, weights, last % 2);
      wait_for_products<0>();
      fence_sums(outputs);
    }
    const int32_t row = group() * 64 + threadIdx.x % 128 / 32 * 16 + threadIdx.x % 32 / 4;
    store_rows<dtype>(p, tile, row, outputs, softmax, scale_log2);
  }
};

#endif

template <Dtype dtype, int kKeyWidth, int kValueWidth, int kTokens>
__device__ void prefill_attention_wgmma(const WarpGroupKernelParams& params) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  extern __shared__ std::byte unaligned[];
  const uint32_t past = static_cast<uint32_t>(__cvta_generic_to_shared(unaligned)) % kWarpGroupAlignment;
  std::byte* const memory = unaligned + (past == 0 ? 0 : kWarpGroupAlignment - past);
  const QueryTile tile = find_query_tile<kWarpGroupRows>(params.kernel);
  if (tile.num_rows == 0) return;
  const WarpGroupPrefill<dtype, kKeyWidth, kValueWidth, kTokens> work(params, tile, memory);
  if (threadIdx.x == 0) work.init_barriers();
  __syncthreads();
  if (threadIdx.x < 128) {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 40;");
    if (threadIdx.x < 32 && work.num_tiles > 0) work.produce_keys();
    if (threadIdx.x / 32 == 1) work.produce_values();
  } else {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 232;");
    work.consume();
  }
#else
  // Never chosen but for a GPU of this kind, under a driver that compiles the PTX of an older one.
  plain_tile<kWarpGroupRows>(params.kernel);
#endif
}

}  // namespace kv

#define KV_PREFILL_WGMMA(dtype, key_width, value_width)                                                              \
  extern "C" __global__ void __launch_bounds__(kv::kWarpGroupThreads, 1)                                             \
      prefill_attention_wgmma_##dtype##_##key_width##_##value_width(                                                 \
          const __grid_constant__ kv::WarpGroupKernelParams params) {                                                \
    kv::prefill_attention_wgmma<kv::Dtype::dtype, key_width, value_width, kv::warp_group_tokens(key_width)>(params); \
  }
#define KV_PREFILL_WGMMA_WIDTHS(dtype) \
  KV_PREFILL_WGMMA(dtype, 64, 64)      \
  KV_PREFILL_WGMMA(dtype, 128, 128)    \
  KV_PREFILL_WGMMA(dtype, 192, 128)    \
  KV_PREFILL_WGMMA(dtype, 256, 256)
KV_PREFILL_WGMMA_WIDTHS(fp16)
KV_PREFILL_WGMMA_WIDTHS(bf16)
#undef KV_PREFILL_WGMMA
#undef KV_PREFILL_WGMMA_WIDTHS
