#pragma once
#include "kernels/decode_attention/decode_attention_merge.h"
#include "kernels/queued_work.h"

// For every type, width up to 256 and alignment of whole elements, on every GPU; no tensor cores. A thread block of
// four warps takes items of four rows of a KV head; of every sixteen tokens a warp takes four. A lane has every 32nd
// column of the rows, of four keys and of their values.

namespace kv {

constexpr int kPlainTokens = 4;  // of a warp at a time

/// Columns `lane`, `lane + 32`, ... of a row of numbers; zeros past its end or where `row` is null.
template <Dtype dtype, bool kIsAligned, int kColumns>
__device__ inline void load_columns(const std::byte* row, int32_t width, float (&to)[kColumns]) {
  using Stored = typename Element<dtype>::Stored;
  const int32_t lane = threadIdx.x % 32;
#pragma unroll
  for (int c = 0; c < kColumns; ++c) {
    const int32_t column = 32 * c + lane;
    to[c] = 0;
    if (row == nullptr || column >= width) continue;
    if constexpr (kIsAligned) {
      to[c] = Element<dtype>::load(reinterpret_cast<const Stored*>(row)[column]);
    } else {
      to[c] = load_element<dtype>(row, column);
    }
  }
}

/// Whether all elements of a plane lie at multiples of their size.
template <Dtype dtype>
__device__ inline bool has_aligned_elements(const KvPlane& plane) {
  const auto bits = static_cast<int64_t>(reinterpret_cast<uintptr_t>(plane.base)) | plane.block_stride_bytes |
                    plane.token_stride_bytes | plane.head_stride_bytes;
  return bits % element_bytes(dtype) == 0;
}

template <Dtype dtype, int kColumns>
struct PlainDecode {
  static constexpr int kRows = kDecodePlainRows;
  static constexpr int kStride = kPlainTokens * kDecodeWarps;

  const DecodeKernelParams& params;
  const DecodeAttentionParams& p;
  const DecodeItem item;
  WarpResults<kDecodePlainRows>& results;
  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32;

  float queries[kRows][kColumns];
  RowSight rows[kRows];
  float outputs[kRows][kColumns];
  float greatest[kRows];
  float sums[kRows];

  __device__ void begin() {
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      greatest[r] = kMinusInfinity;
      sums[r] = 0;
      const bool is_there = r < item.num_rows;
      const DecodeRow place(params, item, is_there ? r : 0);
      if (is_there) rows[r] = RowSight(p, item, place);
      const int64_t row = p.row_of(item.sequence, place.query_token, place.query_head);
      const std::byte* query = p.query + row * p.key_dim * element_bytes(p.query_dtype);
#pragma unroll
      for (int c = 0; c < kColumns; ++c) {
        const int32_t column = 32 * c + lane;
        queries[r][c] = column < p.key_dim ? load_element(p.query_dtype, query, column) : 0.f;
        outputs[r][c] = 0;
      }
    }
  }

  template <bool kIsAligned>
  __device__ void attend(int32_t first) {
    float keys[kPlainTokens][kColumns];
    float values[kPlainTokens][kColumns];
    bool is_there[kPlainTokens];
#pragma unroll
    for (int t = 0; t < kPlainTokens; ++t) {
      const int32_t position = first + t;
      const int64_t block = position >= item.begin && position < item.end ? p.block_of(item.sequence, position) : -1;
      is_there[t] = block >= 0;
      const int32_t token = position % p.view.tokens_per_block;
      const std::byte* key = is_there[t] ? p.view.keys.head(block, token, item.kv_head) : nullptr;
      const std::byte* value = is_there[t] ? p.view.values.head(block, token, item.kv_head) : nullptr;
      load_columns<dtype, kIsAligned>(key, p.key_dim, keys[t]);
      load_columns<dtype, kIsAligned>(value, p.value_dim, values[t]);
    }
    const int32_t first_query = item.length - p.query_length;
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      float weights[kPlainTokens];
      float highest = greatest[r];
#pragma unroll
      for (int t = 0; t < kPlainTokens; ++t) {
        float product = 0;
#pragma unroll
        for (int c = 0; c < kColumns; ++c) product = fmaf(queries[r][c], keys[t][c], product);
        product = warp_sum(product);
        const bool is_seen = is_there[t] && rows[r].sees(first + t, first_query);
        float logit = product * p.softmax_scale;
        if (p.soft_cap != 0) logit = p.soft_cap * tanhf(logit / p.soft_cap);
        weights[t] = is_seen ? logit_log2(rows[r], logit, first + t) : kMinusInfinity;
        highest = fmaxf(highest, weights[t]);
      }
      const float shift = highest == kMinusInfinity ? 0 : highest;
      const float rescale = exp2f(greatest[r] - shift);
      greatest[r] = highest;
      sums[r] *= rescale;
#pragma unroll
      for (int t = 0; t < kPlainTokens; ++t) {
        weights[t] = exp2f(weights[t] - shift);
        sums[r] += weights[t];
      }
#pragma unroll
      for (int c = 0; c < kColumns; ++c) {
        outputs[r][c] *= rescale;
#pragma unroll
        for (int t = 0; t < kPlainTokens; ++t) outputs[r][c] = fmaf(weights[t], values[t][c], outputs[r][c]);
      }
    }
  }

  template <bool kIsAligned>
  __device__ void attend_all() {
    for (int32_t first = item.begin / kStride * kStride + warp * kPlainTokens; first < item.end; first += kStride) {
      attend<kIsAligned>(first);
    }
  }

  __device__ void run() {
    begin();
    if (has_aligned_elements<dtype>(p.view.keys) && has_aligned_elements<dtype>(p.view.values)) {
      attend_all<true>();
    } else {
      attend_all<false>();
    }
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
#pragma unroll
      for (int c = 0; c < kColumns; ++c) results.outputs[warp][(r * kColumns + c) * 32 + lane] = outputs[r][c];
      if (lane == 0) results.sums[warp][r] = {greatest[r], sums[r]};
    }
  }
};

/// Whether this is the last piece of its rows that is done. All threads together, between two barriers.
__device__ inline bool is_last_piece(const DecodeKernelParams& params, const DecodeItem& item) {
  __shared__ bool is_last;
  if (threadIdx.x == 0) is_last = arrive_last(params, item);
  __syncthreads();
  return is_last;
}

template <Dtype dtype, int kColumns>
__device__ __noinline__ void decode_attention_plain(const DecodeKernelParams& params) {
  constexpr int kPitch = 32 * kColumns;
  wait_for_queued_work();
  __shared__ float outputs[kDecodeWarps][kDecodePlainRows * kPitch];
  __shared__ WarpResults<kDecodePlainRows> results;
  if (threadIdx.x < kDecodeWarps) results.outputs[threadIdx.x] = outputs[threadIdx.x];
  DecodeItems<kDecodePlainRows, kDecodePlainTileTokens> items(params);
  __shared__ uint32_t asked;
  bool is_used = true;
  while (true) {
    if (is_used && threadIdx.x == 0) asked = items.ask();
    __syncthreads();
    const DecodeItem item = items.next(asked, is_used);
    if (item.num_rows == 0) return;
    PlainDecode<dtype, kColumns>{params, params.attention, item, results}.run();
    __syncthreads();
    store_rows<kDecodePlainRows, kPitch>(params, item, 0, results);
    __syncthreads();
    if (item.num_pieces > 1 && is_last_piece(params, item)) merge_rows(params, item, items.partial_step());
  }
}

}  // namespace kv

#define KV_DECODE_PLAIN(dtype, width)                                                                   \
  extern "C" __global__ void __launch_bounds__(kv::kDecodeThreads)                                      \
      decode_attention_plain_##dtype##_##width(const __grid_constant__ kv::DecodeKernelParams params) { \
    kv::decode_attention_plain<kv::Dtype::dtype, width / 32>(params);                                   \
  }
KV_DECODE_PLAIN(fp32, 128)
KV_DECODE_PLAIN(fp16, 128)
KV_DECODE_PLAIN(bf16, 128)
KV_DECODE_PLAIN(fp32, 256)
KV_DECODE_PLAIN(fp16, 256)
KV_DECODE_PLAIN(bf16, 256)
#undef KV_DECODE_PLAIN
