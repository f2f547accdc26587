#pragma once
#include "kernels/kv_view.h"

namespace kv {

/// Whether the tokens and heads of a block lie one behind the other without gaps, tokens first.
KV_DEVICE inline bool is_packed(const KvPlane& plane, const KvView& view) {
  return (view.num_kv_heads == 1 || plane.head_stride_bytes == plane.head_bytes) &&
         (view.tokens_per_block == 1 || plane.token_stride_bytes == int64_t{view.num_kv_heads} * plane.head_bytes);
}

/// As is_packed(), in whichever order of tokens and heads.
KV_DEVICE inline bool is_dense(const KvPlane& plane, const KvView& view) {
  return is_packed(plane, view) ||
         ((view.tokens_per_block == 1 || plane.token_stride_bytes == plane.head_bytes) &&
          (view.num_kv_heads == 1 || plane.head_stride_bytes == int64_t{view.tokens_per_block} * plane.head_bytes));
}

/// Bytes of a block's keys, or of its values, without gaps.
KV_DEVICE inline int64_t packed_bytes(const KvPlane& plane, const KvView& view) {
  return int64_t{view.tokens_per_block} * view.num_kv_heads * plane.head_bytes;
}

/// What copy_words() gives each thread.
constexpr uint32_t kWordsPerThread = 4;

#ifdef __CUDACC__
/// Where a word of a block lies from the block's start, words counted from token to token and head to head. In 32 bits:
/// 64-bit divisions cost more than the copy itself.
template <typename Word>
__device__ int64_t word_offset_bytes(const KvPlane& plane, const KvView& view, uint32_t word) {
  const uint32_t words_per_head = plane.head_bytes / static_cast<uint32_t>(sizeof(Word));
  const uint32_t num_kv_heads = view.num_kv_heads;
  const uint32_t row = word / words_per_head;  // token and head
  return row / num_kv_heads * plane.token_stride_bytes + row % num_kv_heads * plane.head_stride_bytes +
         word % words_per_head * int64_t{sizeof(Word)};
}

/// A thread's share of copying one block: words that lie a thread block apart, so that neighbours touch neighbouring
/// addresses, all loaded before the first is stored. `place_from` and `place_to` say where a word lies.
template <typename Word, typename PlaceFrom, typename PlaceTo>
__device__ void copy_words(uint32_t num_words, const std::byte* from, const PlaceFrom& place_from, std::byte* to,
                           const PlaceTo& place_to) {
  const uint32_t first = blockIdx.x * blockDim.x * kWordsPerThread + threadIdx.x;
  Word words[kWordsPerThread];
#pragma unroll
  for (uint32_t i = 0; i < kWordsPerThread; ++i) {
    const uint32_t word = first + i * blockDim.x;
    if (word < num_words) words[i] = *reinterpret_cast<const Word*>(from + place_from(word));
  }
#pragma unroll
  for (uint32_t i = 0; i < kWordsPerThread; ++i) {
    const uint32_t word = first + i * blockDim.x;
    if (word < num_words) *reinterpret_cast<Word*>(to + place_to(word)) = words[i];
  }
}
#endif

}  // namespace kv
