#include "kernels/append_rotary/append_rotary.h"
#include "kernels/queued_work.h"

namespace kv {

// One thread block per token. Its threads first work out the token's cosines and sines, a pair each, into shared
// memory. Then they rotate the query's heads, then the key's, two words at a time that have each other's partners, and
// copy the value's words.

// A word of several elements, or one element at any address where Word is a byte.
template <typename Word, Dtype dtype>
struct ElementWord {
  using Stored = typename Element<dtype>::Stored;
  static constexpr bool is_wide = sizeof(Word) > 1;
  static constexpr int kElements = is_wide ? static_cast<int>(sizeof(Word) / sizeof(Stored)) : 1;

  Stored elements[kElements];

  __device__ static ElementWord load(const std::byte* from) {
    ElementWord word;
    if constexpr (is_wide) {
      const Word whole = *reinterpret_cast<const Word*>(from);
      memcpy(word.elements, &whole, sizeof whole);
    } else {
      memcpy(word.elements, from, sizeof word.elements);
    }
    return word;
  }

  __device__ void store(std::byte* to) const {
    if constexpr (is_wide) {
      Word whole;
      memcpy(&whole, elements, sizeof whole);
      *reinterpret_cast<Word*>(to) = whole;
    } else {
      memcpy(to, elements, sizeof elements);
    }
  }
};

// The elements of two words become each other's rotations: element i of both, or neighbours within each.
template <typename Word, Dtype dtype>
__device__ void rotate(ElementWord<Word, dtype>& one, ElementWord<Word, dtype>& other, RotaryStyle style,
                       const float* cosines, const float* sines) {
  using Words = ElementWord<Word, dtype>;
  constexpr int n = Words::kElements;
  float numbers[2 * n];
#pragma unroll
  for (int i = 0; i < n; ++i) {
    numbers[i] = Element<dtype>::load(one.elements[i]);
    numbers[n + i] = Element<dtype>::load(other.elements[i]);
  }
  float rotated[2 * n];
  if (style == RotaryStyle::half_split) {
#pragma unroll
    for (int i = 0; i < n; ++i) {
      rotated[i] = numbers[i] * cosines[i] - numbers[n + i] * sines[i];
      rotated[n + i] = numbers[n + i] * cosines[i] + numbers[i] * sines[i];
    }
  } else {
#pragma unroll
    for (int i = 0; i < n; ++i) {
      rotated[2 * i] = numbers[2 * i] * cosines[i] - numbers[2 * i + 1] * sines[i];
      rotated[2 * i + 1] = numbers[2 * i + 1] * cosines[i] + numbers[2 * i] * sines[i];
    }
  }
#pragma unroll
  for (int i = 0; i < n; ++i) {
    one.elements[i] = Element<dtype>::store(rotated[i]);
    other.elements[i] = Element<dtype>::store(rotated[n + i]);
  }
}

template <typename Word, Dtype dtype>
__device__ void rotate_heads(const AppendRotaryParams& p, const float* cosines, const std::byte* from, std::byte* to,
                             int64_t to_stride_bytes, int32_t num_heads) {
  using Words = ElementWord<Word, dtype>;
  constexpr int32_t n = Words::kElements;
  const int32_t half = p.width / 2;
  const int32_t words_per_half = half / n;
  const int64_t head_bytes = int64_t{p.key_dim} * static_cast<int64_t>(sizeof(typename Words::Stored));
  const auto bytes_to = [](int32_t element) { return element * static_cast<int32_t>(sizeof(typename Words::Stored)); };
  for (int32_t i = threadIdx.x; i < num_heads * words_per_half; i += blockDim.x) {
    const int32_t head = i / words_per_half;
    const int32_t pair = i % words_per_half * n;
    const bool is_split = p.style == RotaryStyle::half_split;
    const int32_t first = bytes_to(is_split ? pair : 2 * pair);
    const int32_t second = bytes_to(is_split ? pair + half : 2 * pair + n);
    const std::byte* read = from + head * head_bytes;
    std::byte* written = to + head * to_stride_bytes;
    Words one = Words::load(read + first);
    Words other = Words::load(read + second);
    rotate<Word, dtype>(one, other, p.style, cosines + pair, cosines + half + pair);
    one.store(written + first);
    other.store(written + second);
  }
  if (from == to) return;
  const int32_t words_of_rest = (p.key_dim - p.width) / n;
  for (int32_t i = threadIdx.x; i < num_heads * words_of_rest; i += blockDim.x) {
    const int32_t at = bytes_to(p.width + i % words_of_rest * n);
    Words::load(from + i / words_of_rest * head_bytes + at).store(to + i / words_of_rest * to_stride_bytes + at);
  }
}

template <typename Word>
__device__ void rotate_heads(Dtype dtype, const AppendRotaryParams& p, const float* cosines, const std::byte* from,
                             std::byte* to, int64_t to_stride_bytes, int32_t num_heads) {
  switch (dtype) {
    case Dtype::fp16:
      return rotate_heads<Word, Dtype::fp16>(p, cosines, from, to, to_stride_bytes, num_heads);
    case Dtype::bf16:
      return rotate_heads<Word, Dtype::bf16>(p, cosines, from, to, to_stride_bytes, num_heads);
    default:
      return rotate_heads<Word, Dtype::fp32>(p, cosines, from, to, to_stride_bytes, num_heads);
  }
}

__device__ inline void find_rotations(const AppendRotaryParams& p, int64_t position, float* cosines) {
  const int32_t half = p.width / 2;
  for (int32_t pair = threadIdx.x; pair < half; pair += blockDim.x) {
    if (p.inverse_frequencies == nullptr) {
      cosines[pair] = p.table[position * p.width + pair];
      cosines[half + pair] = p.table[position * p.width + half + pair];
    } else {
      float sine;
      float cosine;
      sincospif(2 * turn_of(position, p.inverse_frequencies[pair]), &sine, &cosine);
      cosines[pair] = p.scaling * cosine;
      cosines[half + pair] = p.scaling * sine;
    }
  }
}

template <typename Word>
__device__ void append_rotary(const AppendRotaryParams& p) {
  extern __shared__ float rotations_of_token[];  // [2, width / 2]
  wait_for_queued_work();
  const int64_t token = blockIdx.x;
  const int64_t position = p.position_of(token);
  if (!p.has_position(position)) return;
  find_rotations(p, position, rotations_of_token);
  __syncthreads();
  if (p.query != nullptr) {
    const int64_t head_bytes = int64_t{p.key_dim} * element_bytes(p.query_dtype);
    const int64_t offset = p.query_offset_bytes(token);
    rotate_heads<Word>(p.query_dtype, p, rotations_of_token, p.query + offset, p.rotated_query + offset, head_bytes,
                       p.num_query_heads);
  }
  const KvView& view = p.append.view;
  const int64_t slot = p.append.slot_of(token);
  if (p.append.keys == nullptr || slot < 0 || slot >= view.num_slots()) return;
  const int64_t block = slot / view.tokens_per_block;
  const int64_t token_in_block = slot % view.tokens_per_block;
  const int64_t row = token * view.num_kv_heads;
  rotate_heads<Word>(p.cache_dtype, p, rotations_of_token, p.append.keys + row * view.keys.head_bytes,
                     view.keys.head(block, token_in_block, 0), view.keys.head_stride_bytes, view.num_kv_heads);
  const auto* values = reinterpret_cast<const Word*>(p.append.values + row * view.values.head_bytes);
  const int32_t words_per_head = view.values.head_bytes / static_cast<int32_t>(sizeof(Word));
  for (int32_t i = threadIdx.x; i < view.num_kv_heads * words_per_head; i += blockDim.x) {
    std::byte* head = view.values.head(block, token_in_block, i / words_per_head);
    reinterpret_cast<Word*>(head)[i % words_per_head] = values[i];
  }
}

}  // namespace kv

extern "C" __global__ void append_rotary_16(const __grid_constant__ kv::AppendRotaryParams params) {
  kv::append_rotary<uint4>(params);
}
extern "C" __global__ void append_rotary_8(const __grid_constant__ kv::AppendRotaryParams params) {
  kv::append_rotary<uint2>(params);
}
extern "C" __global__ void append_rotary_1(const __grid_constant__ kv::AppendRotaryParams params) {
  kv::append_rotary<uint8_t>(params);
}
