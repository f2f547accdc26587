#include "kernels/host/host_variant.h"

#include <initializer_list>

#include "kernels/host/target.h"

#if KV_X86_64 && defined(_MSC_VER) && !defined(__clang__)
#include <intrin.h>
#endif

namespace kv {
namespace {

#if KV_X86_64 && defined(_MSC_VER) && !defined(__clang__)
/// Whether a leaf of cpuid has all bits of a register (0: EAX to 3: EDX).
bool has_bits(int leaf, int which, int bits) noexcept {
  int registers[4];
  __cpuidex(registers, leaf, 0);
  return (registers[which] & bits) == bits;
}

/// Whether the system saves the registers of a feature: bits 1 and 2 for AVX, 5 to 7 too for AVX-512.
bool saves(unsigned long long bits) noexcept {
  constexpr int osxsave = 1 << 27;
  return has_bits(1, 2, osxsave) && (_xgetbv(0) & bits) == bits;
}

bool processor_has_avx2() noexcept {
  constexpr int fma_f16c = 1 << 12 | 1 << 29;
  return saves(0x6) && has_bits(1, 2, fma_f16c) && has_bits(7, 1, 1 << 5);
}

bool processor_has_avx512() noexcept {
  constexpr int f_dq_bw_vl = static_cast<int>(1u << 16 | 1u << 17 | 1u << 30 | 1u << 31);
  return processor_has_avx2() && saves(0xe6) && has_bits(7, 1, f_dq_bw_vl);
}
#elif KV_X86_64
bool processor_has_avx2() noexcept {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
}

bool processor_has_avx512() noexcept {
  return processor_has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#else
bool processor_has_avx2() noexcept {
  return false;
}

bool processor_has_avx512() noexcept {
  return false;
}
#endif

HostVariant fastest() noexcept {
  for (const HostVariant variant : {HostVariant::avx512, HostVariant::avx2}) {
    if (can_run(variant)) return variant;
  }
  return HostVariant::portable;
}

}  // namespace

bool can_run(HostVariant variant) noexcept {
  switch (variant) {
    case HostVariant::avx2:
      return processor_has_avx2();
    case HostVariant::avx512:
      return processor_has_avx512();
    default:
      return true;
  }
}

HostVariant chosen(HostVariant variant) noexcept {
  static const HostVariant best = fastest();
  return variant == HostVariant::fastest ? best : variant;
}

}  // namespace kv
