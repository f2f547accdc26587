#pragma once
#include <limits>

#include "kernels/element.h"

namespace kv {

constexpr float kLog2E = 1.4426950408889634f;
constexpr float kLn2 = 0.6931471805599453f;
constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

/// Two elements in one word, the first in the low half, rounded to nearest.
template <Dtype dtype>
__device__ inline uint32_t pack_pair(float first, float second) {
  uint32_t pair;
  if constexpr (dtype == Dtype::bf16) {
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(second), "f"(first));
  } else {
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(second), "f"(first));
  }
  return pair;
}

__device__ inline float fast_exp2(float x) {
  float result;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
  return result;
}

__device__ inline float warp_max(float value) {
  for (int distance = 16; distance > 0; distance /= 2) value = fmaxf(value, __shfl_xor_sync(~0u, value, distance));
  return value;
}

__device__ inline float warp_sum(float value) {
  for (int distance = 16; distance > 0; distance /= 2) value += __shfl_xor_sync(~0u, value, distance);
  return value;
}

/// cap * tanh(x / cap), to about six digits: the hardware's own tanh has three.
__device__ inline float soft_capped(float x, float cap) {
  const float twice = fast_exp2(x / cap * (2 * kLog2E));
  return cap - __fdividef(2 * cap, twice + 1);
}

}  // namespace kv
