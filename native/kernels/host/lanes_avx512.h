#pragma once
#include <immintrin.h>

#include "kernels/element.h"

namespace kv {

/// Sixteen floats at once. To be included where the target has AVX-512 F, BW, DQ and VL.
struct LanesAvx512 {
  using Floats = __m512;
  static constexpr int kWidth = 16;
  static constexpr int kRows = 4;  // query rows whose sums fit the registers beside those of four tokens

  static Floats zero() { return _mm512_setzero_ps(); }
  static Floats all(float value) { return _mm512_set1_ps(value); }
  static Floats load(const float* from) { return _mm512_loadu_ps(from); }
  static void store(float* to, Floats x) { _mm512_storeu_ps(to, x); }
  static Floats add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
  static Floats subtract(Floats a, Floats b) { return _mm512_sub_ps(a, b); }
  static Floats multiply(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
  static Floats divide(Floats a, Floats b) { return _mm512_div_ps(a, b); }
  static Floats greater(Floats a, Floats b) { return _mm512_max_ps(a, b); }
  static Floats multiply_add(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
  static float sum(Floats x) { return _mm512_reduce_add_ps(x); }
  static float greatest(Floats x) { return _mm512_reduce_max_ps(x); }

  template <Dtype dtype>
  static Floats load_elements(const std::byte* from) {
    if constexpr (dtype == Dtype::fp32) {
      return _mm512_loadu_ps(from);
    } else {
      const __m256i stored = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
      if constexpr (dtype == Dtype::fp16) {
        return _mm512_cvtph_ps(stored);
      } else {
        return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(stored), 16));
      }
    }
  }

  /// The sums of four vectors, side by side.
  static void store_sums(float* to, Floats a, Floats b, Floats c, Floats d) {
    const Floats ab = add(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
    const Floats cd = add(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
    const __m512d ab_pairs = _mm512_castps_pd(ab);
    const __m512d cd_pairs = _mm512_castps_pd(cd);
    const Floats abcd = add(_mm512_castpd_ps(_mm512_unpacklo_pd(ab_pairs, cd_pairs)),
                            _mm512_castpd_ps(_mm512_unpackhi_pd(ab_pairs, cd_pairs)));
    const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(abcd), _mm512_extractf32x8_ps(abcd, 1));
    _mm_storeu_ps(to, _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1)));
  }

  static Floats nearest(Floats x) { return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  /// x * 2^n for whole n; zero where that is too small for a float.
  static Floats scale(Floats x, Floats n) { return _mm512_scalef_ps(x, n); }
};

}  // namespace kv
