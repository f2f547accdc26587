#pragma once
#include <cmath>

#include "kernels/element.h"

namespace kv {

/// Four floats at once in plain C++, which compilers turn into NEON or SSE2.
struct LanesPortable {
  static constexpr int kWidth = 4;
  static constexpr int kRows = 2;
  struct Floats {
    float lane[kWidth];
  };

  template <typename Function>
  static Floats each(Function function) {
    return {{function(0), function(1), function(2), function(3)}};
  }

  static Floats zero() { return all(0); }
  static Floats all(float value) { return {{value, value, value, value}}; }
  static Floats load(const float* from) {
    return each([&](int i) { return from[i]; });
  }
  static void store(float* to, const Floats& x) { std::memcpy(to, x.lane, sizeof x.lane); }
  static Floats add(const Floats& a, const Floats& b) {
    return each([&](int i) { return a.lane[i] + b.lane[i]; });
  }
  static Floats subtract(const Floats& a, const Floats& b) {
    return each([&](int i) { return a.lane[i] - b.lane[i]; });
  }
  static Floats multiply(const Floats& a, const Floats& b) {
    return each([&](int i) { return a.lane[i] * b.lane[i]; });
  }
  static Floats divide(const Floats& a, const Floats& b) {
    return each([&](int i) { return a.lane[i] / b.lane[i]; });
  }
  static Floats greater(const Floats& a, const Floats& b) {
    return each([&](int i) { return a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i]; });
  }
  static Floats multiply_add(const Floats& a, const Floats& b, const Floats& c) {
    return each([&](int i) { return a.lane[i] * b.lane[i] + c.lane[i]; });
  }
  static float sum(const Floats& x) { return (x.lane[0] + x.lane[2]) + (x.lane[1] + x.lane[3]); }
  static float greatest(const Floats& x) {
    const float low = x.lane[0] > x.lane[1] ? x.lane[0] : x.lane[1];
    const float high = x.lane[2] > x.lane[3] ? x.lane[2] : x.lane[3];
    return low > high ? low : high;
  }

  template <Dtype dtype>
  static Floats load_elements(const std::byte* from) {
    typename Element<dtype>::Stored stored[kWidth];
    std::memcpy(stored, from, sizeof stored);
    return each([&](int i) {
#ifdef __ARM_FP16_FORMAT_IEEE
      if constexpr (dtype == Dtype::fp16) {
        __fp16 half;
        std::memcpy(&half, &stored[i], sizeof half);
        return static_cast<float>(half);
      }
#endif
      return Element<dtype>::load(stored[i]);
    });
  }

  /// The sums of four vectors, side by side.
  static void store_sums(float* to, const Floats& a, const Floats& b, const Floats& c, const Floats& d) {
    store(to, {{sum(a), sum(b), sum(c), sum(d)}});
  }

  static Floats nearest(const Floats& x) {
    return each([&](int i) { return std::nearbyint(x.lane[i]); });
  }
  /// x * 2^n for whole n of at most 127; zero where n is under -126.
  static Floats scale(const Floats& x, const Floats& n) {
    return each([&](int i) {
      if (n.lane[i] < -126) return 0.0f;
      // What is not a number has no exponent; x is none then either.
      const float exponent = n.lane[i] <= 127 ? n.lane[i] : 0;
      return x.lane[i] * float_of(static_cast<uint32_t>(static_cast<int32_t>(exponent) + 127) << 23);
    });
  }
};

}  // namespace kv
