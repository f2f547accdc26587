#include "kernels/prefill_attention/copy_engine.h"
#include "kernels/prefill_attention/prefill_attention_plain.cu"
#include "kernels/prefill_attention/prefill_attention_rows.h"
#include "kernels/prefill_attention/prefill_attention_wgmma.h"
#include "kernels/prefill_attention/warp_group_products.h"

// Tensor cores by the warp-group instructions of sm_90a. As many thread blocks as there are multiprocessors draw items:
// 128 query rows of one head. Of a thread block's three warp groups the first brings everything: one warp draws the
// items, one has the copy engine bring queries and tile after tile of keys, one the values. The other two groups have
// 64 rows each and take turns: while the tensor cores multiply for one, the other makes weights of its scores. Within a
// group, too, the scores of a tile are begun before the values of the tile before are weighted, also from one item to
// the next. Tiles go from the last to the first, since the last are the ones that need masks.

namespace kv {

#ifdef __CUDA_ARCH_FEAT_SM90_ALL

template <Dtype dtype, int kKeyWidth, int kValueWidth, int kTokens>
struct WarpGroupPrefill {
  using Memory = WarpGroupMemory<kKeyWidth, kValueWidth, kTokens>;
  static constexpr int kQueryStages = Memory::kQueryStages;
  // An item is drawn when two tiles of the one before are still to be brought. That is early enough for all that has to
  // be looked up and brought for it, and late enough for whoever is through first to get the next one.
  static constexpr int kStepsToDraw = 2;
  static constexpr int kDrawSleepNanoseconds = 400;
  static constexpr int kScoreGroups = kTokens / 8;
  static constexpr int kOutputGroups = kValueWidth / 8;
  static constexpr int kProductGroups = kOutputGroups < 16 ? kOutputGroups : 16;
  static constexpr int kChunkBytes = kTokens * 128;  // 64 columns of a tile's tokens
  static constexpr int kQueryChunkBytes = kWarpGroupRows * 128;
  // Outputs leave by way of the place of their queries, unless that is needed for the next ones.
  static constexpr bool kStagesOutputs = kQueryStages > 1;
  static_assert(!kStagesOutputs || kValueWidth <= kKeyWidth);

  const WarpGroupKernelParams& params;
  const PrefillAttentionParams& p;
  std::byte* const memory;
  const uint32_t shared;
  const int group;  // of this thread: the consumers are 0 and 1

  __device__ WarpGroupPrefill(const WarpGroupKernelParams& all, std::byte* aligned)
      : params(all),
        p(all.kernel.attention),
        memory(aligned),
        shared(static_cast<uint32_t>(__cvta_generic_to_shared(aligned))),
        // By a shuffle, so that the compiler knows it to be the same in a whole warp.
        group(__shfl_sync(~0u, static_cast<int>(threadIdx.x / 128), 0) - 1) {}

  __device__ uint32_t barrier(int index) const { return shared + Memory::kBarriers + 8 * index; }
  __device__ uint32_t item_full(int slot) const { return barrier(slot); }
  __device__ uint32_t item_empty(int slot) const { return barrier(2 + slot); }
  __device__ uint32_t query_full(int stage) const { return barrier(4 + stage); }
  __device__ uint32_t query_empty(int stage) const { return barrier(6 + stage); }
  __device__ uint32_t keys_full(int stage) const { return barrier(8 + stage); }
  __device__ uint32_t keys_empty(int stage) const { return barrier(10 + stage); }
  __device__ uint32_t values_full(int stage) const { return barrier(12 + stage); }
  __device__ uint32_t values_empty(int stage) const { return barrier(14 + stage); }
  __device__ uint32_t values_staged() const { return barrier(16); }
  __device__ uint32_t item_wanted() const { return barrier(17); }
  __device__ WarpGroupItem& item_at(int slot) const {
    return reinterpret_cast<WarpGroupItem*>(memory + Memory::kItems)[slot];
  }
  __device__ volatile uint32_t& absent_pieces(int stage) const {
    return reinterpret_cast<volatile uint32_t*>(memory + Memory::kAbsent)[stage];
  }
  __device__ uint32_t query(int stage) const { return shared + stage * Memory::kQueryBytes; }
  __device__ uint32_t keys(int stage) const { return shared + Memory::kKeys + stage * Memory::kKeyBytes; }
  __device__ uint32_t values(int stage) const { return shared + Memory::kValues + stage * Memory::kValueBytes; }

  __device__ void init_barriers() const {
    constexpr int kConsumerWarps = 8;
    for (int stage = 0; stage < 2; ++stage) {
      init_barrier(item_full(stage), 1);
      init_barrier(item_empty(stage), 32 * (kConsumerWarps + 2));  // every lane reads an item
      init_barrier(query_full(stage), 1);
      init_barrier(query_empty(stage), kConsumerWarps);
      init_barrier(keys_full(stage), 1);
      init_barrier(keys_empty(stage), kConsumerWarps);
      init_barrier(values_full(stage), 1);
      init_barrier(values_empty(stage), kConsumerWarps);
    }
    init_barrier(values_staged(), 1);
    init_barrier(item_wanted(), 1);
    fence_for_engines();
  }

  /// Tells whoever waits for it that a warp has done its part.
  __device__ static void release(uint32_t barrier) {
    if (threadIdx.x % 32 == 0) arrive(barrier);
  }

  // The warp that draws items.

  /// The next item of which anything is seen.
  __device__ WarpGroupItem draw() const {
    for (;;) {
      int32_t index = 0;
      if (threadIdx.x % 32 == 0) index = atomicAdd(params.num_drawn, 1);
      index = __shfl_sync(~0u, index, 0);
      if (index >= params.num_items) return {{}, 0, 0};
      const QueryTile tile = find_query_tile<kWarpGroupRows>(params.kernel, index);
      const int32_t first_tile = tile.key_begin(p.window_tokens) / kTokens;
      const int32_t num_tiles = (tile.key_end() + kTokens - 1) / kTokens - first_tile;
      if (tile.num_rows > 0 && num_tiles > 0) return {tile, first_tile, num_tiles};
      store_nothing(tile);
    }
  }

  /// Writes the rows of a tile that sees nothing.
  __device__ void store_nothing(const QueryTile& tile) const {
    const int32_t lane = threadIdx.x % 32;
    const float log_sum_exp = p.sinks == nullptr ? kMinusInfinity : p.sinks[tile.head];
    for (int32_t row = 0; row < tile.num_rows; ++row) {
      const int64_t head_row = p.row_of(tile.first_row + row, tile.head);
      auto* const to = reinterpret_cast<uint4*>(p.output + head_row * (kValueWidth * 2));
      if (lane < kOutputGroups) to[lane] = uint4{0, 0, 0, 0};
      if (lane == 0 && p.log_sum_exp != nullptr) p.log_sum_exp[head_row] = log_sum_exp;
    }
  }

  __device__ void draw_items() const {
    for (int32_t number = 0;; ++number) {
      if (number > 0) wait_patiently_for(item_wanted(), (number - 1) % 2, kDrawSleepNanoseconds);
      const WarpGroupItem item = draw();
      const int slot = number % 2;
      wait_for(item_empty(slot), (number / 2 + 1) % 2);
      if (threadIdx.x % 32 == 0) {
        item_at(slot) = item;
        arrive(item_full(slot));
      }
      __syncwarp();
      if (item.num_tiles == 0) return;
    }
  }

  // The two producing warps: one brings queries and keys, the other values.

  __device__ WarpGroupItem take_item(int32_t number) const {
    const int slot = number % 2;
    wait_for(item_full(slot), number / 2 % 2);
    const WarpGroupItem item = item_at(slot);
    arrive(item_empty(slot));
    return item;
  }

  /// Tiles are taken from the last to the first.
  __device__ static int32_t first_token(const WarpGroupItem& item, int32_t step) {
    return (item.first_tile + item.num_tiles - 1 - step) * kTokens;
  }

  /// What a lane brings of a tile, and which pieces are seen by nobody: they become zeros.
  struct Piece {
    int32_t block;
    int32_t token;
    uint32_t absent;
  };

  __device__ Piece find_piece(const WarpGroupItem& item, int32_t step) const {
    const int32_t tokens_per_block = p.view.tokens_per_block;
    const int32_t first = static_cast<int32_t>(threadIdx.x % 32) * params.piece_tokens;
    const int32_t position = first_token(item, step) + first;
    const bool is_there = step < item.num_tiles && first < kTokens && position < item.tile.length;
    const int32_t index = position / tokens_per_block;
    const int32_t sequence = item.tile.sequence;
    int32_t block = is_there ? sequence : -1;
    if (is_there && p.block_tables != nullptr) block = p.block_tables[int64_t{sequence} * p.max_blocks + index];
    const bool is_block = block >= 0 && block < p.view.num_blocks;
    // Past the last block the copy engine reads zeros.
    return {is_block ? block : static_cast<int32_t>(p.view.num_blocks), position - index * tokens_per_block,
            __ballot_sync(~0u, is_there && !is_block)};
  }

  template <int kWidth>
  __device__ void load_tokens(const TensorMap& map, int32_t kv_head, const Piece& piece, uint32_t to,
                              uint32_t full) const {
    const int32_t first = static_cast<int32_t>(threadIdx.x % 32) * params.piece_tokens;
    if (threadIdx.x % 32 == 0) arrive_expecting(full, kTokens * kWidth * 2);
    __syncwarp();
    if (first >= kTokens) return;
#pragma unroll
    for (int chunk = 0; chunk < kWidth / 64; ++chunk) {
      copy_box(to + chunk * kChunkBytes + first * 128, map, 64 * chunk, piece.token, kv_head, piece.block, full);
    }
  }

  __device__ void load_query(const QueryTile& tile, int stage) const {
    if (threadIdx.x != 0) return;
    arrive_expecting(query_full(stage), Memory::kQueryBytes);
    for (int chunk = 0; chunk < kKeyWidth / 64; ++chunk) {
      copy_box(query(stage) + chunk * kQueryChunkBytes, params.query_map, 64 * chunk, tile.head, tile.first_row,
               query_full(stage));
    }
  }

  __device__ void want_item() const {
    if (threadIdx.x == 0) arrive(item_wanted());
  }

  __device__ void produce_keys() const {
    int32_t num_taken = 0;
    for (int32_t number = 0;; ++number) {
      const WarpGroupItem item = take_item(number);
      if (item.num_tiles == 0) return;
      Piece piece = find_piece(item, 0);
      const int query_stage = number % kQueryStages;
      wait_for(query_empty(query_stage), (number / kQueryStages + 1) % 2);
      load_query(item.tile, query_stage);
      const int32_t kv_head = item.tile.head / p.query_heads_per_kv_head();
      for (int32_t step = 0; step < item.num_tiles; ++step, ++num_taken) {
        const int stage = num_taken % 2;
        // Looked up while this one waits.
        const Piece next = find_piece(item, step + 1);
        wait_for(keys_empty(stage), (num_taken / 2 + 1) % 2);
        // The consumers read this once the phase is over that the loads complete.
        if (threadIdx.x == 0) absent_pieces(stage) = piece.absent;
        load_tokens<kKeyWidth>(params.key_map, kv_head, piece, keys(stage), keys_full(stage));
        if (step == max(item.num_tiles - kStepsToDraw, 0)) want_item();
        piece = next;
      }
    }
  }

  __device__ void produce_values() const {
    int32_t num_taken = 0;
    int32_t num_cut = 0;
    for (int32_t number = 0;; ++number) {
      const WarpGroupItem item = take_item(number);
      if (item.num_tiles == 0) return;
      Piece piece = find_piece(item, 0);
      const int32_t kv_head = item.tile.head / p.query_heads_per_kv_head();
      for (int32_t step = 0; step < item.num_tiles; ++step, ++num_taken) {
        const int stage = num_taken % 2;
        const Piece next = find_piece(item, step + 1);
        wait_for(values_empty(stage), (num_taken / 2 + 1) % 2);
        // Only in a sequence's last tile are there places that nobody wrote.
        const int32_t num_there = item.tile.length - first_token(item, step);
        const bool is_cut = num_there < kTokens;
        load_tokens<kValueWidth>(params.value_map, kv_head, piece, values(stage),
                                 is_cut ? values_staged() : values_full(stage));
        if (is_cut) {
          wait_for(values_staged(), num_cut++ % 2);
          clear_values(stage, num_there);
        }
        piece = next;
      }
    }
  }

  /// Makes the values zero that nobody wrote: a weight of zero does not silence a NaN.
  __device__ void clear_values(int stage, int32_t num_there) const {
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

  /// The first of a thread's two rows in the tile.
  __device__ static int32_t row_in_tile() {
    return static_cast<int32_t>(threadIdx.x - 128) / 32 * 16 + static_cast<int32_t>(threadIdx.x % 32) / 4;
  }

  /// Takes turns: a group's products are queued between these two.
  __device__ void begin_turn() const { asm volatile("bar.sync %0, 256;" ::"r"(1 + group) : "memory"); }
  __device__ void end_turn() const { asm volatile("bar.arrive %0, 256;" ::"r"(2 - group) : "memory"); }

  /// All threads of a consuming group.
  __device__ void synchronize_group() const { asm volatile("bar.sync %0, 128;" ::"r"(3 + group) : "memory"); }

  __device__ void begin_scores(float (&scores)[kScoreGroups][4], int query_stage, int stage) const {
    const uint32_t rows = operand(query(query_stage) + group * 64 * 128, kQueryChunkBytes);
    const uint32_t tokens = operand(keys(stage), kChunkBytes);
    fence_sums(scores);
    fence_products();
#pragma unroll
    for (int k = 0; k < kKeyWidth / 16; ++k) {
      multiply_rows<dtype>(scores, rows + (k / 4 * kQueryChunkBytes + k % 4 * 32) / 16,
                           tokens + (k / 4 * kChunkBytes + k % 4 * 32) / 16, k != 0);
    }
    commit_products();
  }

  __device__ void begin_outputs(float (&outputs)[kOutputGroups][4], const uint32_t (&weights)[kTokens / 16][4],
                                int stage) const {
    const uint32_t tokens = operand(values(stage), kChunkBytes);
    fence_sums(outputs);
    fence_products();
#pragma unroll
    for (int k = 0; k < kTokens / 16; ++k) {
#pragma unroll
      for (int g = 0; g < kOutputGroups; g += kProductGroups) {
        multiply_columns<dtype>(reinterpret_cast<float (&)[kProductGroups][4]>(outputs[g]), weights[k],
                                tokens + (g / 8 * kChunkBytes + k * 16 * 128) / 16);
      }
    }
    commit_products();
  }

  __device__ void hide_absent(float (&scores)[kScoreGroups][4], uint32_t absent) const {
    const int shift = __ffs(params.piece_tokens) - 1;
#pragma unroll
    for (int g = 0; g < kScoreGroups; ++g) {
      if ((absent >> (8 * g >> shift) & 1) == 0) continue;
#pragma unroll
      for (int i = 0; i < 4; ++i) scores[g][i] = kMinusInfinity;
    }
  }

  /// Turns the scores of a tile into logits of what is seen.
  __device__ void apply(const ScoreRules& rules, float (&scores)[kScoreGroups][4], int32_t first_position,
                        int32_t token, uint32_t absent) const {
    const int32_t first_row = first_position + group * 64;
    const bool hides = rules.hides(first_row, first_row + 63, token, kTokens);
    if (__builtin_expect(rules.soft_cap != 0 || hides || absent != 0, 0)) {
      if (rules.soft_cap != 0) rules.cap(scores);
      if (hides) rules.mask(scores, first_position + row_in_tile(), token);
      if (absent != 0) hide_absent(scores, absent);
    }
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

  /// The lane, read anew: what is made of it must not take registers while nothing is stored.
  __device__ static int32_t lane_now() {
    int32_t lane;
    asm volatile("mov.u32 %0, %%laneid;" : "=r"(lane));
    return lane;
  }

  /// Writes what a warp has of its 16 rows. They go through shared memory, so that whole rows are written at once.
  __device__ void store(const QueryTile& tile, int query_stage, const float (&outputs)[kOutputGroups][4],
                        const float (&factor)[2]) const {
    if constexpr (!kStagesOutputs) {
      store_rows<dtype>(p, tile, row_in_tile(), outputs, factor);
    } else {
      // Pieces of 16 bytes, permuted as the copy engine has the queries; a warp's first row is a multiple of 16.
      const int32_t lane = lane_now();
      const int32_t first_row = row_in_tile() / 16 * 16;
      const uint32_t rows = query(query_stage) + first_row * 128;
      const uint32_t to = rows + lane % 16 * 128;
      const uint32_t to_piece = (lane / 16 ^ lane % 8) * 16;
#pragma unroll
      for (int g = 0; g < kOutputGroups; g += 2) {
        const float (&left)[4] = outputs[g];
        const float (&right)[4] = outputs[g + 1];
        store_matrices(to + g / 8 * kQueryChunkBytes + (to_piece ^ g % 8 * 16),
                       pack_pair<dtype>(left[0] * factor[0], left[1] * factor[0]),
                       pack_pair<dtype>(left[2] * factor[1], left[3] * factor[1]),
                       pack_pair<dtype>(right[0] * factor[0], right[1] * factor[0]),
                       pack_pair<dtype>(right[2] * factor[1], right[3] * factor[1]));
      }
      __syncwarp();
      constexpr int kRowsAtOnce = 32 / kOutputGroups;
      const int32_t row = lane / kOutputGroups;
      const int32_t piece = lane % kOutputGroups;
      const uint32_t from = rows + piece / 8 * kQueryChunkBytes + row * 128;
      const uint32_t from_piece = (piece % 8 ^ row) * 16;
      const int32_t num_rows = tile.num_rows - first_row - row;
      const int64_t step_bytes = int64_t{p.num_query_heads} * (kRowsAtOnce * kValueWidth * 2);
      std::byte* out =
          p.output + p.row_of(tile.first_row + first_row + row, tile.head) * (kValueWidth * 2) + piece * 16;
#pragma unroll
      for (int i = 0; i < 16; i += kRowsAtOnce, out += step_bytes) {
        const uint4 words = load_shared(from + i * 128 + (from_piece ^ i % 8 * 16));
        if (i < num_rows) *reinterpret_cast<uint4*>(out) = words;
      }
      fence_for_engines();
    }
  }

  /// What a consumer knows of the item that it is at.
  struct Place {
    int32_t number = -1;    // of the item
    int32_t num_taken = 0;  // tiles before
    int32_t num_tiles = 0;
    int32_t first_tile = 0;
    int32_t first_position = 0;

    __device__ int slot() const { return number % 2; }
    __device__ int query_stage() const { return number % kQueryStages; }
    __device__ int32_t first_token(int32_t step) const { return (first_tile + num_tiles - 1 - step) * kTokens; }
  };

  /// Goes on to the next item; false: there is none.
  __device__ bool find_item(Place& place) const {
    place.num_taken += place.num_tiles;
    ++place.number;
    wait_for(item_full(place.slot()), place.number / 2 % 2);
    const WarpGroupItem& item = item_at(place.slot());
    // By shuffles, so that the compiler knows them, and what is made of them, to be the same in the whole warp.
    place.num_tiles = __shfl_sync(~0u, item.num_tiles, 0);
    place.first_tile = __shfl_sync(~0u, item.first_tile, 0);
    place.first_position = __shfl_sync(~0u, item.tile.first_position, 0);
    return place.num_tiles > 0;
  }

  __device__ void consume() const {
    const ScoreRules rules(p);
    const float scale_log2 = rules.scale_log2();
    SoftmaxRows softmax;
    float outputs[kOutputGroups][4] = {};
    float scores[kScoreGroups][4];
    uint32_t weights[kTokens / 16][4];
    float rescale[2];
    float factor[2];
    Place at;
    if (!find_item(at)) return;
    if (group == 1) end_turn();
    wait_for(query_full(0), 0);
    wait_for(keys_full(0), 0);
    begin_scores(scores, 0, 0);
    uint32_t absent = absent_pieces(0);
    wait_for_products<0>();
    fence_sums(scores);
    release(keys_empty(0));
    if (!kStagesOutputs && at.num_tiles == 1) release(query_empty(0));
    apply(rules, scores, at.first_position, at.first_token(0), absent);
    softmax.raise(scores, scale_log2, rescale);
    softmax.weigh(scores, scale_log2);
    for (;;) {
      const int query_stage = at.query_stage();
#pragma unroll 1
      for (int32_t step = 1; step < at.num_tiles; ++step) {
        const int32_t taken = at.num_taken + step;
        const int stage = taken % 2;
        // Here and not where the weights were made: the compiler would wait before it makes them.
        wait_for_products<0>();
        fence_sums(outputs);
        if (step > 1) release(values_empty(stage));
        pack(weights, scores);
        wait_for_both(keys_full(stage), taken / 2 % 2, values_full(1 - stage), (taken - 1) / 2 % 2);
        absent = absent_pieces(stage);
        begin_turn();
        begin_scores(scores, query_stage, stage);
        begin_outputs(outputs, weights, 1 - stage);
        end_turn();
        wait_for_products<1>();
        fence_sums(scores);
        release(keys_empty(stage));
        if (!kStagesOutputs && step == at.num_tiles - 1) release(query_empty(query_stage));
        apply(rules, scores, at.first_position, at.first_token(step), absent);
        if (__builtin_expect(softmax.raise(scores, scale_log2, rescale), 0)) {
          wait_for_products<0>();
          fence_sums(outputs);
#pragma unroll
          for (int g = 0; g < kOutputGroups; ++g) {
#pragma unroll
            for (int i = 0; i < 4; ++i) outputs[g][i] *= rescale[i / 2];
          }
        }
        softmax.weigh(scores, scale_log2);
        fence_sums(scores);
      }
      wait_for_products<0>();
      fence_sums(outputs);
      if (at.num_tiles > 1) release(values_empty((at.num_taken + at.num_tiles) % 2));
      pack(weights, scores);
      const int slot = at.slot();
      const bool is_last = !find_item(at);
      const int stage = at.num_taken % 2;
      if (is_last) {
        wait_for(values_full(1 - stage), (at.num_taken - 1) / 2 % 2);
        begin_outputs(outputs, weights, 1 - stage);
        finish_rows(p, item_at(slot).tile, row_in_tile(), softmax, factor);
        wait_for_products<0>();
        fence_sums(outputs);
        // As a turn does before: no warp's scores need the queries any more.
        synchronize_group();
        store(item_at(slot).tile, query_stage, outputs, factor);
        return;
      }
      wait_for(query_full(at.query_stage()), at.number / kQueryStages % 2);
      wait_for_both(keys_full(stage), at.num_taken / 2 % 2, values_full(1 - stage), (at.num_taken - 1) / 2 % 2);
      absent = absent_pieces(stage);
      begin_turn();
      begin_scores(scores, at.query_stage(), stage);
      begin_outputs(outputs, weights, 1 - stage);
      end_turn();
      finish_rows(p, item_at(slot).tile, row_in_tile(), softmax, factor);
      wait_for_products<0>();
      fence_sums(scores);
      fence_sums(outputs);
      release(keys_empty(stage));
      release(values_empty(1 - stage));
      store(item_at(slot).tile, query_stage, outputs, factor);
      arrive(item_empty(slot));
      __syncwarp();
      if (kStagesOutputs) release(query_empty(query_stage));
      if (!kStagesOutputs && at.num_tiles == 1) release(query_empty(0));
      softmax = SoftmaxRows{};
#pragma unroll
      for (int g = 0; g < kOutputGroups; ++g) {
#pragma unroll
        for (int i = 0; i < 4; ++i) outputs[g][i] = 0;
      }
      apply(rules, scores, at.first_position, at.first_token(0), absent);
      softmax.raise(scores, scale_log2, rescale);
      softmax.weigh(scores, scale_log2);
    }
  }
};

#endif

template <Dtype dtype, int kKeyWidth, int kValueWidth, int kTokens>
__device__ void prefill_attention_wgmma(const WarpGroupKernelParams& params) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  extern __shared__ std::byte unaligned[];
  const uint32_t past = static_cast<uint32_t>(__cvta_generic_to_shared(unaligned)) % kWarpGroupAlignment;
  std::byte* const memory = unaligned + (past == 0 ? 0 : kWarpGroupAlignment - past);
  const WarpGroupPrefill<dtype, kKeyWidth, kValueWidth, kTokens> work(params, memory);
  if (threadIdx.x == 0) work.init_barriers();
  __syncthreads();
  if (threadIdx.x < 128) {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 40;");
    if (threadIdx.x / 32 == 0) work.produce_keys();
    if (threadIdx.x / 32 == 1) work.produce_values();
    if (threadIdx.x / 32 == 2) work.draw_items();
  } else {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 232;");
    work.consume();
  }
#else
  // Never chosen but for a GPU of this kind, under a driver that compiles the PTX of an older one.
  for (int32_t index = blockIdx.x; index < params.num_items; index += gridDim.x) {
    plain_tile<kWarpGroupRows>(params.kernel, index);
  }
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
