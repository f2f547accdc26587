#pragma once
#include <immintrin.h>

#include "kernels/element.h"

namespace kv {

/// Eight floats at once. To be included where the target has AVX2, FMA and F16C.
struct LanesAvx2 {
  using Floats = __m256;
  static constexpr int kWidth = 8;
  static constexpr int kRows = 2;

  static Floats zero() { return _mm256_setzero_ps(); }
  static Floats all(float value) { return _mm256_set1_ps(value); }
  static Floats load(const float* from) { return _mm256_loadu_ps(from); }
  static void store(float* to, Floats x) { _mm256_storeu_ps(to, x); }
  static Floats add(Floats a, Floats b) { return _mm256_add_ps(a, b); }
  static Floats subtract(Floats a, Floats b) { return _mm256_sub_ps(a, b); }
  static Floats multiply(Floats a, Floats b) { return _mm256_mul_ps(a, b); }
  static Floats divide(Floats a, Floats b) { return _mm256_div_ps(a, b); }
  static Floats greater(Floats a, Floats b) { return _mm256_max_ps(a, b); }
  static Floats multiply_add(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
  static float sum(Floats x) {
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }
  static float greatest(Floats x) {
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
  }

  template <Dtype dtype>
  static Floats load_elements(const std::byte* from) {
    if constexpr (dtype == Dtype::fp32) {
      return _mm256_loadu_ps(reinterpret_cast<const float*>(from));
    } else {
      const __m128i stored = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
      if constexpr (dtype == Dtype::fp16) {
        return _mm256_cvtph_ps(stored);
      } else {
        return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(stored), 16));
      }
    }
  }

  /// The sums of four vectors, side by side.
  static void store_sums(float* to, Floats a, Floats b, Floats c, Floats d) {
    const Floats abcd = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
    _mm_storeu_ps(to, _mm_add_ps(_mm256_castps256_ps128(abcd), _mm256_extractf128_ps(abcd, 1)));
  }

  static Floats nearest(Floats x) { return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  /// x * 2^n for whole n of at most 127; zero where n is under -126.
  static Floats scale(Floats x, Floats n) {
    const __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    const Floats power = _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23));
    // "Not less": what is not a number stays so.
    const Floats is_kept = _mm256_cmp_ps(n, _mm256_set1_ps(-126), _CMP_NLT_UQ);
    return _mm256_and_ps(_mm256_mul_ps(x, power), is_kept);
  }
};

}  // namespace kv
