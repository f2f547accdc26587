#pragma once
#include "kernels/attention_math.h"
#include "kernels/decode_attention/decode_attention_cuda.h"

// What the decode kernels share: which thread block takes which piece of work, what a row sees, and how the results of
// a thread block's warps become one.

namespace kv {

/// Some rows of one KV head over one chunk of a sequence, for one thread block. A row is a query token and one of the
/// query heads that share the KV head, in this order.
struct DecodeItem {
  int32_t sequence;
  int32_t kv_head;
  int32_t first_row;
  int32_t num_rows;    // 0: there is no item
  int32_t chunk;       // among those of the sequence
  int32_t num_chunks;  // of the sequence
  int32_t begin;       // positions to attend to
  int32_t end;
  int32_t length;  // of the sequence
};

/// All items. Neighbours are the heads of the same tokens, which lie side by side in most caches.
template <int kRows>
class DecodeItems {
 public:
  /// All threads of the thread block together.
  __device__ explicit DecodeItems(const DecodeKernelParams& params) : params_(params) {
    __shared__ int32_t chunks_before[kMostSequences + 1];
    __shared__ int32_t lengths[kMostSequences];
    __shared__ int32_t chunks_of_warp[kDecodeWarps];
    chunks_before_ = chunks_before;
    lengths_ = lengths;
    constexpr int kRounds = kMostSequences / kDecodeThreads;
    const int32_t thread = threadIdx.x;
    int32_t counts[kRounds];
#pragma unroll
    for (int round = 0; round < kRounds; ++round) {
      const int32_t index = round * kDecodeThreads + thread;
      counts[round] = 0;
      if (index >= params.num_sequences) continue;
      const int64_t length = params.attention.length_of(params.first_sequence + index);
      lengths[index] = static_cast<int32_t>(length);
      counts[round] = ChunksOfSequence::of(params.attention, length).num_chunks;
    }
    int32_t before = 0;
    for (int round = 0; round < kRounds && round * kDecodeThreads < params.num_sequences; ++round) {
      int32_t count = 0;
#pragma unroll
      for (int i = 0; i < kRounds; ++i) {
        if (i == round) count = counts[i];
      }
      int32_t to_here = count;
      for (int32_t distance = 1; distance < 32; distance *= 2) {
        const int32_t other = __shfl_up_sync(~0u, to_here, distance);
        if (thread % 32 >= distance) to_here += other;
      }
      if (thread % 32 == 31) chunks_of_warp[thread / 32] = to_here;
      __syncthreads();
      int32_t total = 0;
      for (int warp = 0; warp < kDecodeWarps; ++warp) {
        if (warp == thread / 32) to_here += before + total;
        total += chunks_of_warp[warp];
      }
      chunks_before[round * kDecodeThreads + thread] = to_here - count;
      before += total;
      __syncthreads();
    }
    if (thread == 0) chunks_before[params.num_sequences] = before;
    __syncthreads();
    const DecodeAttentionParams& p = params.attention;
    rows_ = p.query_length * p.query_heads_per_kv_head();
    passes_ = (rows_ + kRows - 1) / kRows;
    num_items_ = int64_t{before} * p.view.num_kv_heads * passes_;
  }

  __device__ int64_t count() const { return num_items_; }

  /// No item where there are fewer.
  __device__ DecodeItem operator[](int64_t index) const {
    if (index >= num_items_) return {};
    const DecodeAttentionParams& p = params_.attention;
    // Fewer than 2^32: divisions of 64 bits take five times as long.
    const uint32_t head_of_all = static_cast<uint32_t>(index) / passes_;
    const int32_t pass = static_cast<int32_t>(static_cast<uint32_t>(index) % passes_);
    const int32_t kv_head = static_cast<int32_t>(head_of_all % p.view.num_kv_heads);
    const int32_t chunk_of_all = static_cast<int32_t>(head_of_all / p.view.num_kv_heads);
    int32_t first = 0;
    int32_t past = params_.num_sequences;
    while (past - first > 1) {
      const int32_t middle = (first + past) / 2;
      (chunks_before_[middle] <= chunk_of_all ? first : past) = middle;
    }
    const int32_t sequence = params_.first_sequence + first;
    const ChunksOfSequence chunks = ChunksOfSequence::of(p, lengths_[first]);
    const int32_t chunk = chunk_of_all - chunks_before_[first];
    const int64_t begin = int64_t{chunks.first_chunk + chunk} << chunks.shift;
    const int64_t end_of_chunk = begin + (int64_t{1} << chunks.shift);
    return {sequence,
            kv_head,
            pass * kRows,
            min(rows_ - pass * kRows, kRows),
            chunk,
            chunks.num_chunks,
            static_cast<int32_t>(max(begin, chunks.begin)),
            static_cast<int32_t>(min(end_of_chunk, chunks.length)),
            static_cast<int32_t>(chunks.length)};
  }

 private:
  const DecodeKernelParams& params_;
  const int32_t* chunks_before_;
  const int32_t* lengths_;
  int32_t rows_;
  uint32_t passes_;
  int64_t num_items_;
};

/// Where a row of an item stands: its query token and its query head.
struct DecodeRow {
  int32_t query_token;
  int32_t query_head;

  __device__ DecodeRow(const DecodeAttentionParams& p, const DecodeItem& item, int32_t row) {
    const int32_t heads = p.query_heads_per_kv_head();
    query_token = (item.first_row + row) / heads;
    query_head = item.kv_head * heads + (item.first_row + row) % heads;
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

/// Counts a chunk of an item's rows as done, whose partial results are visible to all; whether it is the last one.
__device__ inline bool arrive_last(const DecodeKernelParams& params, const DecodeItem& item, int32_t rows_at_once) {
  const DecodeAttentionParams& p = params.attention;
  const int32_t passes = (p.query_length * p.query_heads_per_kv_head() + rows_at_once - 1) / rows_at_once;
  const int64_t head = int64_t{item.sequence - params.first_sequence} * p.view.num_kv_heads + item.kv_head;
  uint32_t* arrived = params.num_arrived + head * passes + item.first_row / rows_at_once;
  return atomicAdd(arrived, 1) == static_cast<uint32_t>(item.num_chunks - 1);
}

/// Adds up what the warps have of some rows of an item, in their order, a row for each warp by turns; stores it as the
/// result of a sequence of one chunk, or as a partial one. All threads together; before and after lies a barrier.
template <int kRows, int kPitch>
__device__ void store_rows(const DecodeKernelParams& params, const DecodeItem& item, int32_t first_row,
                           const WarpResults<kRows>& results) {
  const DecodeAttentionParams& p = params.attention;
  const int32_t num_rows = min(item.num_rows - first_row, kRows);
  const int32_t lane = threadIdx.x % 32;
#pragma unroll 1
  for (int32_t row = static_cast<int32_t>(threadIdx.x) / 32; row < num_rows; row += kDecodeWarps) {
    const DecodeRow place(p, item, first_row + row);
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
    if (item.num_chunks == 1) {
      const FinishedRow finished(p, place.query_head, greatest, sum);
#pragma unroll 1
      for (int32_t column = lane; column < p.value_dim; column += 32) {
        finished.store(p, row_of_all, column, output_of(column));
      }
    } else {
      const int64_t partial = params.partial_of(row_of_all, item.chunk);
      if (lane == 0) reinterpret_cast<float2*>(params.partial_sums)[partial] = {greatest, sum};
#pragma unroll 4
      for (int32_t column = lane; column < p.value_dim; column += 32) {
        params.partial_outputs[partial * params.partial_width() + column] = output_of(column);
      }
    }
  }
}

}  // namespace kv
