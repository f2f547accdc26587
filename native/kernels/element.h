#pragma once
#include <cstdint>
#include <cstring>

#include "kernels/kv_view.h"

namespace kv {

/// Type of a stored element.
enum class Dtype : int32_t { fp32, fp16, bf16 };

KV_DEVICE constexpr int32_t element_bytes(Dtype dtype) {
  return dtype == Dtype::fp32 ? 4 : 2;
}

KV_DEVICE inline uint32_t bits_of(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

KV_DEVICE inline float float_of(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

KV_DEVICE inline float float_from_fp16(uint16_t half) {
#ifdef __CUDA_ARCH__
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(half));
  return value;
#else
  const uint32_t magnitude = (half & 0x7fffu) << 13;
  // The multiplication moves the exponent's bias from 15 to 127, and makes subnormal halves normal.
  const uint32_t finite = bits_of(float_of(magnitude) * 0x1p112f);
  const uint32_t special = magnitude >= 0x0f800000u ? 0x7f800000u : 0u;
  return float_of((half & 0x8000u) << 16 | finite | special);
#endif
}

KV_DEVICE inline float float_from_bf16(uint16_t bits) {
  return float_of(static_cast<uint32_t>(bits) << 16);
}

// The hardware's roundings go through 32 bits: ptxas 13.0 and the compiler in driver 580 store a 16-bit result wrongly
// where its bytes are stored one by one.

/// Nearest, ties to even; past the largest half: infinity.
KV_DEVICE inline uint16_t fp16_from_float(float value) {
#ifdef __CUDA_ARCH__
  uint32_t twice;
  asm("{ .reg .b16 half; cvt.rn.f16.f32 half, %1; mov.b32 %0, {half, half}; }" : "=r"(twice) : "f"(value));
  return static_cast<uint16_t>(twice);
#else
  const uint32_t sign = bits_of(value) >> 16 & 0x8000u;
  const uint32_t magnitude = bits_of(value) & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00u);
  if (magnitude >= 0x477ff000u) return static_cast<uint16_t>(sign | 0x7c00u);
  if (magnitude < 0x38800000u) {
    // One unit in the last place of 0.5f is one of a subnormal half, so the addition rounds.
    return static_cast<uint16_t>(sign | (bits_of(float_of(magnitude) + 0.5f) - 0x3f000000u));
  }
  return static_cast<uint16_t>(sign | (magnitude - 0x38000000u + 0xfffu + (magnitude >> 13 & 1u)) >> 13);
#endif
}

/// Nearest, ties to even.
KV_DEVICE inline uint16_t bf16_from_float(float value) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  uint32_t twice;
  asm("{ .reg .b16 bits; cvt.rn.bf16.f32 bits, %1; mov.b32 %0, {bits, bits}; }" : "=r"(twice) : "f"(value));
  return static_cast<uint16_t>(twice);
#else
  const uint32_t bits = bits_of(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>(bits >> 16 | 0x40u);
  return static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
#endif
}

/// How the elements of a type are read and written, at any address: the seam where a new type comes in.
template <Dtype dtype>
struct Element;

template <>
struct Element<Dtype::fp32> {
  using Stored = float;
  KV_DEVICE static float load(Stored stored) { return stored; }
  KV_DEVICE static Stored store(float value) { return value; }
};

template <>
struct Element<Dtype::fp16> {
  using Stored = uint16_t;
  KV_DEVICE static float load(Stored stored) { return float_from_fp16(stored); }
  KV_DEVICE static Stored store(float value) { return fp16_from_float(value); }
};

template <>
struct Element<Dtype::bf16> {
  using Stored = uint16_t;
  KV_DEVICE static float load(Stored stored) { return float_from_bf16(stored); }
  KV_DEVICE static Stored store(float value) { return bf16_from_float(value); }
};

/// Element `i` of a row.
template <Dtype dtype>
KV_DEVICE float load_element(const std::byte* row, int64_t i) {
  typename Element<dtype>::Stored stored;
  memcpy(&stored, row + i * static_cast<int64_t>(sizeof stored), sizeof stored);
  return Element<dtype>::load(stored);
}

KV_DEVICE inline float load_element(Dtype dtype, const std::byte* row, int64_t i) {
  switch (dtype) {
    case Dtype::fp16:
      return load_element<Dtype::fp16>(row, i);
    case Dtype::bf16:
      return load_element<Dtype::bf16>(row, i);
    default:
      return load_element<Dtype::fp32>(row, i);
  }
}

template <Dtype dtype>
KV_DEVICE void store_element(std::byte* row, int64_t i, float value) {
  const typename Element<dtype>::Stored stored = Element<dtype>::store(value);
  memcpy(row + i * static_cast<int64_t>(sizeof stored), &stored, sizeof stored);
}

KV_DEVICE inline void store_element(Dtype dtype, std::byte* row, int64_t i, float value) {
  switch (dtype) {
    case Dtype::fp16:
      return store_element<Dtype::fp16>(row, i, value);
    case Dtype::bf16:
      return store_element<Dtype::bf16>(row, i, value);
    default:
      return store_element<Dtype::fp32>(row, i, value);
  }
}

}  // namespace kv
