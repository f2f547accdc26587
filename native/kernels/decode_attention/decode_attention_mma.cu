#include "kernels/decode_attention/decode_attention_merge.h"
#include "kernels/decode_attention/decode_attention_plain.cu"
#include "kernels/decode_attention/decode_attention_tiles.h"
#include "kernels/mma_tiles.h"
#include "kernels/queued_work.h"

// Tensor cores by mma.sync, for every GPU from sm_80 on. As many thread blocks as fit share the work out among them
// before it begins. Of an item's tiles of tokens each of the four warps takes every fourth by itself: it brings them by
// cp.async into a ring of its own, across the ends of the items, so that enough bytes are under way at all times to
// keep the memory busy. At the end of an item the warps lay open what they have, and add up a row each by turns.
// Whoever finishes the last piece of some rows adds up all of them. Tokens are the rows of both products: keys times
// queries gives scores whose columns are up to eight query rows, and values, transposed, times their weights gives the
// output of the same columns.

namespace kv {

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800

/// The transpose of an 8 x 8 matrix of pairs of two-byte elements over the lanes.
__device__ inline uint32_t transposed(uint32_t pair) {
  uint32_t result;
  asm("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(result) : "r"(pair));
  return result;
}

/// Copies 16 bytes, or makes them zeros where `bytes` is 0.
__device__ inline void copy_piece(uint32_t to, const std::byte* from, int bytes) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(bytes));
}

/// Waits for all groups of copies of the warp but the last `kPending`.
template <int kPending>
__device__ inline void wait_for_copies_of_warp() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending));
  __syncwarp();
}

/// Waits for all warps of the thread block, which come from different places: __syncthreads() is for one.
__device__ inline void meet() {
  asm volatile("barrier.sync 1, %0;" ::"n"(kDecodeMmaThreads) : "memory");
}

/// What a thread block's warps tell each other, in shared memory.
struct DecodeExchange {
  DecodeItem items[3];  // i % 3: the thread block's i-th
  DecodeItem complete;  // whose rows have all their pieces: none, or the last item
  WarpResults<8> results;
};

/// Waits until loaded words are there. Otherwise whoever uses them in a loop waits again each time, for whatever load
/// shares their scoreboard by then.
template <int kCount>
__device__ inline void settle(uint32_t (&words)[kCount]) {
#pragma unroll
  for (int i = 0; i < kCount; ++i) words[i] = __shfl_sync(~0u, words[i], threadIdx.x % 32);
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
  static constexpr int kTokens = Memory::kTokens;
  static constexpr int kSlices = kTokens / 16;
  static constexpr int kStride = kTokens * kDecodeWarps;
  static constexpr int kRunTokens = 16;  // of a tile, which are brought at once where they lie in one block
  static constexpr int kRuns = kTokens / kRunTokens;
  static constexpr uint32_t kAllTokens = ~0u >> (32 - kTokens);
  static constexpr int kPitch = kValueWidth + 4;  // that rows of outputs begin in different banks
  static_assert(8 * kPitch * 4 <= Memory::kStageBytes, "a stage is lent to the outputs of a group");
  static_assert(KeyTile::kRowBytes == Memory::kKeyRowBytes && ValueTile::kRowBytes == Memory::kValueRowBytes);

  const DecodeKernelParams& params;
  const DecodeAttentionParams& p;
  const int32_t partial_step;
  std::byte* const memory;  // of this warp: the ring
  uint32_t* const present;  // [stages]: bit i of a stage: its token i is there to see
  DecodeExchange& exchange;
  const int lane = threadIdx.x % 32;
  // By shuffles, so that the compiler keeps them instead of working them out each time.
  const int warp = __shfl_sync(~0u, threadIdx.x / 32, 0);
  const uint32_t ring = __shfl_sync(~0u, static_cast<uint32_t>(__cvta_generic_to_shared(memory)), 0);

  DecodeItem item;
  int32_t turn = 0;  // the item is the thread block's turn-th

  /// Tiles of an item that are to be brought, a warp's worth at most. Their blocks are looked up long before: a load
  /// comes back only after all copies that its warp began before it.
  struct Tiles {
    int32_t first;  // position of the next one; none where it is not before `stop`
    int32_t stop;
    int32_t begin;  // of the item
    int32_t end;
    int32_t sequence;
    int32_t kv_head;
    int32_t index;           // of the next one among them
    int32_t block;           // of the first token of run `lane` among those of all tiles, as the table names it
    int32_t token_in_block;  // which it is there

    __device__ bool is_empty() const { return first >= stop; }
  };
  Tiles now{};
  Tiles later{};
  int32_t last_turn = -1;     // of the items in both
  int32_t num_under_way = 0;  // tiles brought and not used up
  int load_stage = 0;
  int stage = 0;

  uint32_t queries[kGroups][kSteps][2];
  RowSight rows[kGroups][2];  // of columns 2 * (lane % 4) + 0..1 of the scores
  int32_t seen_from;          // every row sees the positions from here on that are before the query tokens
  float outputs[kGroups][kOutputTiles][4];
  float greatest[kGroups][2];
  float sums[kGroups][2];  // of this lane's tokens

  /// Begins to load the queries of an item.
  __device__ void load_queries(const DecodeItem& of) {
#pragma unroll
    for (int g = 0; g < kGroups; ++g) {
      const int row = 8 * g + lane / 4;
      const DecodeRow place(params, of, min(row, of.num_rows - 1));
      const std::byte* query = p.query + p.row_of(of.sequence, place.query_token, place.query_head) * p.key_dim * 2;
#pragma unroll
      for (int k = 0; k < kSteps; ++k) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          const int column = 16 * k + 8 * half + lane % 4 * 2;
          const bool is_there = row < of.num_rows && column < p.key_dim;
          queries[g][k][half] = is_there ? *reinterpret_cast<const uint32_t*>(query + column * 2) : 0;
        }
      }
    }
  }

  __device__ void begin() {
#pragma unroll
    for (int g = 0; g < kGroups; ++g) {
#pragma unroll
      for (int k = 0; k < kSteps; ++k) settle(queries[g][k]);
    }
    seen_from = static_cast<int32_t>(p.window_begin(item.length - 1));
#pragma unroll
    for (int g = 0; g < kGroups; ++g) {
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const int row = 8 * g + lane % 4 * 2 + i;
        rows[g][i] = row < item.num_rows ? RowSight(p, item, DecodeRow(params, item, row)) : RowSight();
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
  __device__ int32_t first_tile(int32_t begin) const { return begin / kStride * kStride + warp * kTokens; }

  /// Begins to look up the tiles that are brought later, of this item or of the next, which is known by now or not yet.
  __device__ void look_ahead() {
    while (later.is_empty()) {
      if (now.stop < now.end) {
        later = now;
        later.first = now.stop;
      } else {
        const DecodeItem& next = exchange.items[(last_turn + 1) % 3];
        if (last_turn > turn || next.num_rows == 0) return;
        ++last_turn;
        later.first = first_tile(next.begin);
        later.begin = next.begin;
        later.end = next.end;
        later.sequence = next.sequence;
        later.kv_head = next.kv_head;
      }
      later.stop = min(later.end, later.first + 32 / kRuns * kStride);
      later.index = 0;
      const int32_t first_of_run = later.first + lane / kRuns * kStride + lane % kRuns * kRunTokens;
      const int32_t position = min(max(first_of_run, later.begin), later.end - 1);
      later.token_in_block = static_cast<uint32_t>(position) % static_cast<uint32_t>(p.view.tokens_per_block);
      if (!later.is_empty()) later.block = p.named_block(later.sequence, position);
    }
  }

  __device__ bool is_block(int32_t block) const { return block >= 0 && block < p.view.num_blocks; }

  /// Begins to bring the keys or values of a run that lies in one block.
  template <typename Tile>
  __device__ void copy_run(uint32_t to, const KvPlane& plane, int32_t first_row, int32_t block,
                           int32_t token_in_block) const {
    const std::byte* const first = plane.head(block, token_in_block, now.kv_head);
    if constexpr (32 % Tile::kPieces == 0) {
      // A lane has the same piece of every row that it copies.
      constexpr int kRowsAtOnce = 32 / Tile::kPieces;
      const int piece = lane % Tile::kPieces;
      const int bytes = 16 * piece < plane.head_bytes ? 16 : 0;
      const std::byte* from = first + lane / Tile::kPieces * plane.token_stride_bytes + (bytes == 0 ? 0 : 16 * piece);
      const int64_t step = kRowsAtOnce * plane.token_stride_bytes;
#pragma unroll
      for (int i = 0; i < kRunTokens / kRowsAtOnce; ++i) {
        copy_piece(Tile::piece(to, first_row + kRowsAtOnce * i + lane / Tile::kPieces, piece), from, bytes);
        from += step;
      }
    } else {
#pragma unroll
      for (int i = 0; i < kRunTokens * Tile::kPieces / 32; ++i) {
        const int row = (32 * i + lane) / Tile::kPieces;
        const int piece = (32 * i + lane) % Tile::kPieces;
        const int bytes = 16 * piece < plane.head_bytes ? 16 : 0;
        const std::byte* from = first + row * plane.token_stride_bytes + (bytes == 0 ? 0 : 16 * piece);
        copy_piece(Tile::piece(to, first_row + row, piece), from, bytes);
      }
    }
  }

  /// The same, wherever the tokens lie, of which token `lane` is in that block; zeros where the block is -1.
  template <typename Tile>
  __device__ void copy_tokens(uint32_t to, const KvPlane& plane, int32_t block, int32_t token_in_block) const {
#pragma unroll 1
    for (int i = 0; i < kTokens * Tile::kPieces / 32; ++i) {
      const int row = (32 * i + lane) / Tile::kPieces;
      const int piece = (32 * i + lane) % Tile::kPieces;
      const int32_t its_block = __shfl_sync(~0u, block, row);
      const int32_t its_token = __shfl_sync(~0u, token_in_block, row);
      const bool is_wanted = its_block >= 0 && 16 * piece < plane.head_bytes;
      const std::byte* from = is_wanted ? plane.head(its_block, its_token, now.kv_head) + 16 * piece : p.query;
      copy_piece(Tile::piece(to, row, piece), from, is_wanted ? 16 : 0);
    }
  }

  /// Begins to bring the next tile.
  __device__ void load_tile() {
    __syncwarp();  // no lane still reads what is there
    const uint32_t to = ring + load_stage * Memory::kStageBytes;
    uint32_t is_there = kAllTokens;
    int32_t blocks[kRuns];
    int32_t tokens_in_block[kRuns];
    bool is_whole = now.first >= now.begin && now.first + kTokens <= now.end;
#pragma unroll
    for (int run = 0; run < kRuns; ++run) {
      blocks[run] = __shfl_sync(~0u, now.block, now.index * kRuns + run);
      tokens_in_block[run] = __shfl_sync(~0u, now.token_in_block, now.index * kRuns + run);
      is_whole = is_whole && is_block(blocks[run]) && tokens_in_block[run] + kRunTokens <= p.view.tokens_per_block;
    }
    if (is_whole) {
#pragma unroll
      for (int run = 0; run < kRuns; ++run) {
        const int32_t first = run * kRunTokens;
        copy_run<KeyTile>(to, p.view.keys, first, blocks[run], tokens_in_block[run]);
        copy_run<ValueTile>(to + Memory::kKeyBytes, p.view.values, first, blocks[run], tokens_in_block[run]);
      }
    } else {
      const int32_t position = now.first + lane % kTokens;
      int32_t block = position >= now.begin && position < now.end ? p.named_block(now.sequence, position) : -1;
      if (!is_block(block)) block = -1;
      const auto token_in_block =
          static_cast<int32_t>(static_cast<uint32_t>(position) % static_cast<uint32_t>(p.view.tokens_per_block));
      is_there &= __ballot_sync(~0u, block >= 0);
      copy_tokens<KeyTile>(to, p.view.keys, block, token_in_block);
      copy_tokens<ValueTile>(to + Memory::kKeyBytes, p.view.values, block, token_in_block);
    }
    commit_copies();
    if (lane == 0) present[load_stage] = is_there;
    load_stage = load_stage == kStages - 1 ? 0 : load_stage + 1;
    ++num_under_way;
    now.first += kStride;
    ++now.index;
  }

  /// Begins to bring the next tiles, until `most` are under way.
  __device__ void load(int most) {
#pragma unroll 1
    while (num_under_way < most) {
      if (now.is_empty()) {
        look_ahead();
        if (later.is_empty()) return;
        now = later;
        later.first = later.stop;
      }
      look_ahead();
      load_tile();
    }
  }

  /// Waits for the oldest tile under way.
  __device__ void wait() const {
    if (num_under_way == kStages) {
      wait_for_copies_of_warp<kStages - 1>();
    } else if (num_under_way == kStages - 1) {
      wait_for_copies_of_warp<kStages - 2>();
    } else {
      wait_for_copies_of_warp<0>();
    }
  }

  __device__ void multiply_keys(float (&scores)[kSlices][kGroups][4]) const {
    const uint32_t keys = ring + stage * Memory::kStageBytes;
#pragma unroll
    for (int slice = 0; slice < kSlices; ++slice) {
      float odd[kGroups][4] = {};
#pragma unroll
      for (int k = 0; k < kSteps; ++k) {
        uint32_t key[4];
        load_matrices(key, KeyTile::piece(keys, 16 * slice + lane % 16, 2 * k + lane / 16));
#pragma unroll
        for (int g = 0; g < kGroups; ++g) {
          multiply<dtype>(k % 2 == 0 ? scores[slice][g] : odd[g], key, queries[g][k][0], queries[g][k][1]);
        }
      }
#pragma unroll
      for (int g = 0; g < kGroups; ++g) {
#pragma unroll
        for (int i = 0; i < 4; ++i) scores[slice][g][i] += odd[g][i];
      }
    }
  }

  /// Scores become logits in base 2, and -infinity where a row does not see the token.
  __device__ void make_logits(float (&scores)[kSlices][kGroups][4], int32_t first) const {
    const uint32_t is_there = present[stage];
    const int32_t first_query = item.length - p.query_length;
    const bool sees_all = is_there == kAllTokens && first + kTokens <= first_query && first >= seen_from;
    const float scale_log2 = p.softmax_scale * kLog2E;
    const bool is_plain = p.soft_cap == 0 && p.alibi_slopes == nullptr;
#pragma unroll
    for (int slice = 0; slice < kSlices; ++slice) {
#pragma unroll
      for (int g = 0; g < kGroups; ++g) {
#pragma unroll
        for (int i = 0; i < 4; ++i) scores[slice][g][i] *= is_plain ? scale_log2 : p.softmax_scale;
      }
    }
    if (is_plain && sees_all) return;
#pragma unroll
    for (int slice = 0; slice < kSlices; ++slice) {
#pragma unroll
      for (int g = 0; g < kGroups; ++g) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const int token = 16 * slice + lane / 4 + i / 2 * 8;
          const RowSight& row = rows[g][i % 2];
          float& score = scores[slice][g][i];
          if (p.soft_cap != 0) score = soft_capped(score, p.soft_cap);
          if (!is_plain) score = logit_log2(row, score, first + token);
          if ((is_there >> token & 1) == 0 || !row.sees(first + token, first_query)) score = kMinusInfinity;
        }
      }
    }
  }

  /// Logits become weights relative to the greatest so far, and what was summed before with them.
  __device__ void weigh(float (&scores)[kSlices][kGroups][4]) {
#pragma unroll
    for (int g = 0; g < kGroups; ++g) {
      float rescale[2];
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        float highest = greatest[g][i];
#pragma unroll
        for (int slice = 0; slice < kSlices; ++slice) {
          highest = fmaxf(highest, fmaxf(scores[slice][g][i], scores[slice][g][i + 2]));
        }
        for (int distance = 4; distance < 32; distance *= 2) {
          highest = fmaxf(highest, __shfl_xor_sync(~0u, highest, distance));
        }
        const float shift = highest == kMinusInfinity ? 0 : highest;
        rescale[i] = fast_exp2(greatest[g][i] - shift);
        greatest[g][i] = highest;
        sums[g][i] *= rescale[i];
#pragma unroll
        for (int slice = 0; slice < kSlices; ++slice) {
          float (&of)[4] = scores[slice][g];
          of[i] = fast_exp2(of[i] - shift);
          of[i + 2] = fast_exp2(of[i + 2] - shift);
          sums[g][i] += of[i] + of[i + 2];
        }
      }
#pragma unroll
      for (int tile = 0; tile < kOutputTiles; ++tile) {
#pragma unroll
        for (int i = 0; i < 4; ++i) outputs[g][tile][i] *= rescale[i % 2];
      }
    }
  }

  __device__ void multiply_values(const float (&weights)[kSlices][kGroups][4]) {
    const uint32_t values = ring + stage * Memory::kStageBytes + Memory::kKeyBytes;
#pragma unroll
    for (int slice = 0; slice < kSlices; ++slice) {
      uint32_t packed[kGroups][2];
#pragma unroll
      for (int g = 0; g < kGroups; ++g) {
        const float (&of)[4] = weights[slice][g];
#pragma unroll
        for (int i = 0; i < 2; ++i) packed[g][i] = transposed(pack_pair<dtype>(of[2 * i], of[2 * i + 1]));
      }
#pragma unroll
      for (int tile = 0; tile < kOutputTiles; ++tile) {
        const int row = 16 * slice + lane % 8 + lane / 16 * 8;
        uint32_t value[4];
        load_matrices_transposed(value, ValueTile::piece(values, row, 2 * tile + lane / 8 % 2));
#pragma unroll
        for (int g = 0; g < kGroups; ++g) multiply<dtype>(outputs[g][tile], value, packed[g][0], packed[g][1]);
      }
    }
  }

  __device__ void attend(int32_t first) {
    wait();
    float scores[kSlices][kGroups][4] = {};
    multiply_keys(scores);
    make_logits(scores, first);
    weigh(scores);
    multiply_values(scores);
    stage = stage == kStages - 1 ? 0 : stage + 1;
    --num_under_way;
  }

  /// Lays the columns of a group open to the other warps, in the stage that is brought next.
  __device__ void show(int g) {
    auto* to = reinterpret_cast<float*>(memory + load_stage * Memory::kStageBytes);
    __syncwarp();  // no lane still reads what is there
    if (lane == 0) exchange.results.outputs[warp] = to;
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const int row = lane % 4 * 2 + i;
      for (int distance = 4; distance < 32; distance *= 2) {
        sums[g][i] += __shfl_xor_sync(~0u, sums[g][i], distance);
      }
      if (lane < 4) exchange.results.sums[warp][row] = {greatest[g][i], sums[g][i]};
#pragma unroll
      for (int half = 0; half < 2 * kOutputTiles; ++half) {
        to[row * kPitch + 8 * half + lane / 4] = outputs[g][half / 2][half % 2 * 2 + i];
      }
    }
  }

  __device__ void attend_item() {
    const int32_t first_of_all = first_tile(item.begin);
    for (int32_t first = first_of_all;; first += kStride) {
      const bool is_tile = first < item.end;
      load(is_tile ? kStages : kStages - 1);  // one stage stays free for the outputs
      if (first == first_of_all) begin();     // while the copies are under way
      if (!is_tile) break;
      attend(first);
    }
    load_queries(exchange.items[(turn + 1) % 3]);
  }

  __device__ void run() {
    meet();
    item = exchange.items[0];
    load_queries(item);
    while (true) {
      const bool is_item = item.num_rows != 0;
      if (is_item) attend_item();
#pragma unroll
      for (int g = 0; g < kGroups; ++g) {
        if (is_item) show(g);
        meet();
        if (g == 0) merge_rows(params, exchange.complete, partial_step);
        if (!is_item) return;
        store_rows<8, kPitch>(params, item, 8 * g, exchange.results);
        meet();
      }
      ++turn;
      item = exchange.items[turn % 3];
    }
  }
};

/// What the warp does that does not compute, beside `MmaDecode::run`.
template <int kGroups, typename Items>
__device__ void find_and_count_items(const DecodeKernelParams& params, Items& items, DecodeExchange& exchange) {
  const bool is_first = threadIdx.x % 32 == 0;
  uint32_t asked = is_first ? items.ask() : 0;
  const auto find = [&](int32_t turn) {
    bool is_used = false;
    const DecodeItem found = items.next(__shfl_sync(~0u, asked, 0), is_used);
    if (is_first) exchange.items[turn % 3] = found;
    if (is_used && is_first) asked = items.ask();
  };
  find(0);
  find(1);
  if (is_first) exchange.complete = {};
  meet();
  DecodeItem last{};
  for (int32_t turn = 0;; ++turn) {
    if (is_first && turn > 0) {
      const bool is_complete = last.num_pieces > 1 && arrive_last(params, last);
      exchange.complete = is_complete ? last : DecodeItem{};
    }
    last = exchange.items[turn % 3];
    if (last.num_rows != 0) find(turn + 2);
#pragma unroll
    for (int g = 0; g < kGroups; ++g) {
      meet();
      if (last.num_rows == 0) return;
      meet();
    }
  }
}

#endif

template <Dtype dtype, int kKeyWidth, int kValueWidth, int kGroups>
__device__ void decode_attention_mma(const DecodeKernelParams& params) {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
  using Decode = MmaDecode<dtype, kKeyWidth, kValueWidth, kGroups>;
  extern __shared__ __align__(128) std::byte memory[];
  __shared__ uint32_t present[kDecodeWarps][Decode::kStages];
  __shared__ DecodeExchange exchange;
  wait_for_queued_work();
  DecodeItems<Decode::kRows, Decode::kStride> items(params);
  const int warp = threadIdx.x / 32;
  if (warp == kDecodeWarps) return find_and_count_items<kGroups>(params, items, exchange);
  Decode{params, params.attention, items.partial_step(), memory + warp * Decode::kRingBytes, present[warp], exchange}
      .run();
#else
  // A newer GPU under a driver that compiles the PTX of an older one.
  if (threadIdx.x < kDecodeThreads)
    decode_attention_plain<dtype, kKeyWidth <= 128 && kValueWidth <= 128 ? 4 : 8>(params);
#endif
}

}  // namespace kv

#define KV_DECODE_MMA(dtype, key_width, value_width, groups)                                               \
  extern "C" __global__ void __launch_bounds__(kv::kDecodeMmaThreads,                                      \
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
