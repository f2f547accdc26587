#pragma once
#include "kernels/attention_math.h"
#include "kernels/decode_attention/decode_attention_cuda.h"

// What the decode kernels share: which thread block takes which piece of work, what a row sees, and how the results of
// a thread block's warps become one.

namespace kv {

/// Some rows of one KV head over some tokens of a sequence, for one thread block. A row is a query token and one of the
/// query heads that share the KV head, in this order.
struct DecodeItem {
  int32_t sequence;
  int32_t kv_head;
  int32_t first_row;
  int32_t num_rows;  // 0: there is no item
  int32_t begin;     // positions to attend to
  int32_t end;
  int32_t length;         // of the sequence
  int32_t num_pieces;     // that the rows' tokens are cut into; 1: nobody else has some of them
  int32_t first_partial;  // row of the partial results of the first piece's first row
  int32_t own_partial;    // the same of this piece
  int32_t arrivals;       // index of the counter of pieces that are done
};

/// The items of a thread block, one after the other. Neighbouring thread blocks have the heads of the same tokens,
/// which lie side by side in most caches, and the passes over the same head.
template <int kRows, int kTileTokens>
class DecodeItems {
 public:
  /// All threads of the thread block together.
  __device__ explicit DecodeItems(const DecodeKernelParams& params) : params_(params) {
    __shared__ int32_t shared_before[kMostSequences + 1];
    __shared__ int32_t shared_lengths[kMostSequences];
    before_ = shared_before;
    lengths_ = shared_lengths;
    num_units_ = count_units(shared_before, shared_lengths);
    const uint32_t blocks_of_lane = gridDim.x / params.num_lanes;
    const uint32_t for_each = (num_units_ + blocks_of_lane - 1) / blocks_of_lane;
    units_of_range_ = params.split == DecodeSplit::even ? max(for_each, kLeastTilesOfRange) : 1;
    num_ranges_ = (num_units_ + units_of_range_ - 1) / units_of_range_;
  }

  /// Asks for one more range, if the thread block is to have more than its first two; by one lane of a warp.
  __device__ uint32_t ask() const {
    const uint32_t num_asked = num_ranges_ * params_.num_lanes;
    if (num_asked <= 2 * gridDim.x) return 0;
    // Every thread block asks until it is told that there is none: the last one to ask sets the counter to zero.
    return atomicInc(params_.num_handed_out, num_asked - gridDim.x - 1);
  }

  /// The next item, from the range that was asked for if the thread block has none of its own any more; whether that
  /// was used. No item where there are no more.
  __device__ DecodeItem next(uint32_t asked, bool& is_used) {
    is_used = false;
    if (at_ == end_) {
      open_range(turn_ < 2 ? blockIdx.x + turn_ * gridDim.x : 2 * gridDim.x + asked);
      if (at_ == end_) return {};
      is_used = turn_ >= 2;
      ++turn_;
    }
    return next_of_range();
  }

  /// Rows of the partial results from one piece to the next.
  __device__ int32_t partial_step() const { return params_.num_lanes * kRows; }

 private:
  static constexpr int32_t kRounds = kMostSequences / kDecodeThreads;

  /// The tokens of a sequence that its query tokens see.
  struct Units {
    int32_t begin;  // the first position seen
    int32_t shift;  // unit i is of the positions from i << shift on
    int32_t first;
    int32_t count;  // at least one, that there is somebody to write the result
  };

  __device__ Units units_of(int32_t length) const {
    const DecodeAttentionParams& p = params_.attention;
    const auto begin = static_cast<int32_t>(p.window_begin(length - p.query_length));
    const int32_t shift = params_.split == DecodeSplit::even ? kTileShift : chunk_shift_of(length);
    const int32_t first = begin >> shift;
    const auto end = static_cast<int32_t>((static_cast<uint32_t>(length) + (1u << shift) - 1) >> shift);
    return {begin, shift, first, max(end - first, 1)};
  }

  /// Writes how many units come before each sequence, and returns how many there are.
  __device__ uint32_t count_units(int32_t* before, int32_t* lengths) const {
    __shared__ int32_t units_of_warp[kDecodeWarps];
    const auto thread = static_cast<int32_t>(threadIdx.x);
    const bool is_counting = thread < kDecodeThreads;  // thread blocks may have more
    int32_t found[kRounds];
#pragma unroll
    for (int round = 0; round < kRounds; ++round) {
      const int32_t index = round * kDecodeThreads + thread;
      found[round] = params_.attention.sequence_length;
      if (params_.attention.sequence_lengths == nullptr || index >= params_.num_sequences || !is_counting) continue;
      found[round] = params_.attention.sequence_lengths[params_.first_sequence + index];
    }
    int32_t all_before = 0;
#pragma unroll 1
    for (int round = 0; round * kDecodeThreads < params_.num_sequences; ++round) {
      const int32_t index = round * kDecodeThreads + thread;
      int32_t length = 0;
#pragma unroll
      for (int i = 0; i < kRounds; ++i) {
        if (i == round) length = min(max(found[i], 0), params_.capacity);
      }
      if (is_counting) lengths[index] = length;
      const int32_t count = index < params_.num_sequences ? units_of(length).count : 0;
      int32_t to_here = count;
#pragma unroll
      for (int32_t distance = 1; distance < 32; distance *= 2) {
        const int32_t other = __shfl_up_sync(~0u, to_here, distance);
        if (thread % 32 >= distance) to_here += other;
      }
      if (is_counting && thread % 32 == 31) units_of_warp[thread / 32] = to_here;
      __syncthreads();
      int32_t total = 0;
#pragma unroll
      for (int warp = 0; warp < kDecodeWarps; ++warp) {
        if (warp == thread / 32) to_here += all_before + total;
        total += units_of_warp[warp];
      }
      if (is_counting) before[index] = to_here - count;
      all_before += total;
      __syncthreads();
    }
    if (thread == 0) before[params_.num_sequences] = all_before;
    __syncthreads();
    return all_before;
  }

  /// Goes to the beginning of a range; of none where there are fewer.
  __device__ void open_range(uint32_t index) {
    at_ = end_ = 0;
    if (index >= num_ranges_ * params_.num_lanes) return;
    range_ = index / params_.num_lanes;
    lane_ = index - range_ * params_.num_lanes;
    at_ = range_ * units_of_range_;
    end_ = min(at_ + units_of_range_, num_units_);
    sequence_ = 0;
    uint32_t past = params_.num_sequences;
    while (past - sequence_ > 1) {
      const uint32_t middle = (sequence_ + past) / 2;
      (static_cast<uint32_t>(before_[middle]) <= at_ ? sequence_ : past) = middle;
    }
  }

  /// Rows of the partial results have as many places for a piece as a thread block has rows.
  __device__ int32_t partial_row(uint32_t slot) const { return (slot * params_.num_lanes + lane_) * kRows; }

  __device__ DecodeItem next_of_range() {
    const uint32_t begin_of_sequence = before_[sequence_];
    const uint32_t end_of_sequence = before_[sequence_ + 1];
    const uint32_t end = min(end_, end_of_sequence);
    const int32_t length = lengths_[sequence_];
    const Units units = units_of(length);
    const uint32_t first = units.first + at_ - begin_of_sequence;
    const uint32_t past = first + end - at_;
    const uint32_t pass = lane_ / params_.attention.view.num_kv_heads;
    DecodeItem item;
    item.sequence = params_.first_sequence + sequence_;
    item.kv_head = lane_ - pass * params_.attention.view.num_kv_heads;
    item.first_row = pass * kRows;
    item.num_rows = min(params_.num_rows - item.first_row, kRows);
    item.begin = max(static_cast<int32_t>(first << units.shift), units.begin);
    item.end = static_cast<int32_t>(min(past << units.shift, static_cast<uint32_t>(length)));
    item.length = length;
    // From one piece to the next it is one more range, and to the first piece of a later sequence one more sequence.
    const uint32_t first_range = begin_of_sequence / units_of_range_;
    item.num_pieces = (end_of_sequence - 1) / units_of_range_ - first_range + 1;
    item.first_partial = partial_row(first_range + sequence_);
    item.own_partial = partial_row(range_ + sequence_);
    item.arrivals = sequence_ * params_.num_lanes + lane_;
    at_ = end;
    ++sequence_;
    return item;
  }

  static constexpr int32_t kTileShift = kTileTokens == 128 ? 7 : 6;
  static_assert(kTileTokens == 1 << kTileShift);

  const DecodeKernelParams& params_;
  const int32_t* before_;  // [sequences + 1]: units before each
  const int32_t* lengths_;
  uint32_t num_units_;
  uint32_t units_of_range_;
  uint32_t num_ranges_;  // of a lane
  uint32_t turn_ = 0;    // ranges had so far, two at most
  uint32_t range_ = 0;   // the one at hand
  uint32_t lane_ = 0;
  uint32_t at_ = 0;  // the next unit
  uint32_t end_ = 0;
  uint32_t sequence_ = 0;  // of the next unit; counted from the launch's first
};

/// Where a row of an item stands: its query token and its query head.
struct DecodeRow {
  int32_t query_token;
  int32_t query_head;

  __device__ DecodeRow(const DecodeKernelParams& params, const DecodeItem& item, int32_t row) {
    const uint32_t row_of_head = item.first_row + row;
    const uint32_t heads = params.query_heads_per_kv_head;
    const uint32_t token = params.attention.query_length == 1 ? 0 : row_of_head / heads;
    query_token = token;
    query_head = item.kv_head * heads + row_of_head - token * heads;
  }
};

/// What a row sees, and what its place adds to its logits.
struct RowSight {
  int32_t begin;          // of the positions it sees
  uint32_t query_tokens;  // bit j: sees query token j
  int32_t query_position;
  float slope_log2;

  /// Of a row past the last one: sees nothing.
  __device__ RowSight() : begin(INT32_MAX), query_tokens(0), query_position(0), slope_log2(0) {}

  __device__ RowSight(const DecodeAttentionParams& p, const DecodeItem& item, const DecodeRow& row) : RowSight() {
    query_position = item.length - p.query_length + row.query_token;
    if (query_position < 0) return;
    begin = static_cast<int32_t>(p.window_begin(query_position));
    query_tokens =
        p.query_masks == nullptr
            ? (2u << row.query_token) - 1
            : static_cast<uint32_t>(p.query_masks[item.sequence * int64_t{p.query_length} + row.query_token]);
    if (p.alibi_slopes != nullptr) slope_log2 = p.alibi_slopes[row.query_head] * kLog2E;
  }

  /// Whether it sees a position of the sequence, whose query tokens begin at `first_query`.
  __device__ bool sees(int32_t position, int32_t first_query) const {
    return position >= begin && (position < first_query || (query_tokens >> (position - first_query) & 1) != 0);
  }
};

/// A logit in base 2, with what its place adds.
__device__ inline float logit_log2(const RowSight& row, float logit, int32_t position) {
  return fmaf(row.slope_log2, static_cast<float>(position - row.query_position), logit * kLog2E);
}

/// The results of a thread block's warps, in shared memory.
template <int kRows>
struct WarpResults {
  float* outputs[kDecodeWarps];      // [rows, pitch] each
  float2 sums[kDecodeWarps][kRows];  // as `DecodeKernelParams::partial_sums`
};

/// What the sum of a row's weighted values is multiplied by to become its output, and the log-sum-exp. Sums are
/// relative to 2^greatest.
struct FinishedRow {
  float factor;
  float log_sum_exp;

  __device__ FinishedRow(const DecodeAttentionParams& p, int32_t query_head, float greatest, float sum) {
    const float sink = p.sinks == nullptr ? kMinusInfinity : p.sinks[query_head] * kLog2E;
    const float base = fmaxf(greatest, sink);
    const float shift = base == kMinusInfinity ? 0 : base;
    const float rescale = exp2f(greatest - shift);
    const float denominator = fmaf(sum, rescale, exp2f(sink - shift));
    factor = denominator == 0 ? 0 : rescale / denominator;
    log_sum_exp = (shift + log2f(denominator)) * kLn2;
  }

  __device__ void store(const DecodeAttentionParams& p, int64_t row, int32_t column, float output) const {
    std::byte* to = p.output + row * p.value_dim * element_bytes(p.output_dtype);
    store_element(p.output_dtype, to, column, output * factor);
    if (column == 0 && p.log_sum_exp != nullptr) p.log_sum_exp[row] = log_sum_exp;
  }
};

/// Orders what the thread block stored before, of which a barrier told this thread, before what it does next; and the
/// other way round. `__threadfence` also puts the fences of all thread blocks in one order, which takes much longer.
__device__ inline void fence() {
  asm volatile("fence.acq_rel.gpu;" ::: "memory");
}

/// Counts a piece of an item's rows as done, which a thread that every other one waited for does; whether it is the
/// last one. The last one sets the counter to zero again.
__device__ inline bool arrive_last(const DecodeKernelParams& params, const DecodeItem& item) {
  const auto last = static_cast<uint32_t>(item.num_pieces - 1);
  fence();
  const bool is_last = atomicInc(params.num_arrived + item.arrivals, last) == last;
  fence();
  return is_last;
}

/// Adds up what the warps have of some rows of an item, in their order, a row for each warp by turns; stores it as the
/// result of rows in one piece, or as a partial one. All threads together; before and after lies a barrier.
template <int kRows, int kPitch>
__device__ void store_rows(const DecodeKernelParams& params, const DecodeItem& item, int32_t first_row,
                           const WarpResults<kRows>& results) {
  const DecodeAttentionParams& p = params.attention;
  const int32_t num_rows = min(item.num_rows - first_row, kRows);
  const int32_t lane = threadIdx.x % 32;
#pragma unroll 1
  for (int32_t row = static_cast<int32_t>(threadIdx.x) / 32; row < num_rows; row += kDecodeWarps) {
    const DecodeRow place(params, item, first_row + row);
    const int64_t row_of_all = p.row_of(item.sequence, place.query_token, place.query_head);
    float factors[kDecodeWarps];
    float greatest = kMinusInfinity;
#pragma unroll
    for (int warp = 0; warp < kDecodeWarps; ++warp) greatest = fmaxf(greatest, results.sums[warp][row].x);
    const float shift = greatest == kMinusInfinity ? 0 : greatest;
    float sum = 0;
#pragma unroll
    for (int warp = 0; warp < kDecodeWarps; ++warp) {
      factors[warp] = fast_exp2(results.sums[warp][row].x - shift);
      sum = fmaf(factors[warp], results.sums[warp][row].y, sum);
    }
    const auto output_of = [&](int32_t column) {
      float output = 0;
#pragma unroll
      for (int warp = 0; warp < kDecodeWarps; ++warp) {
        output = fmaf(factors[warp], results.outputs[warp][row * kPitch + column], output);
      }
      return output;
    };
    if (item.num_pieces == 1) {
      const FinishedRow finished(p, place.query_head, greatest, sum);
#pragma unroll 1
      for (int32_t column = lane; column < p.value_dim; column += 32) {
        finished.store(p, row_of_all, column, output_of(column));
      }
    } else {
      const int64_t partial = item.own_partial + first_row + row;
      if (lane == 0) reinterpret_cast<float2*>(params.partial_sums)[partial] = {greatest, sum};
#pragma unroll 4
      for (int32_t column = lane; column < p.value_dim; column += 32) {
        params.partial_outputs[partial * params.partial_width() + column] = output_of(column);
      }
    }
  }
}

}  // namespace kv
