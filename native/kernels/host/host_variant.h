#pragma once
#include <cstdint>

namespace kv {

/// How the host computes: `fastest`, or one by name for tests and benchmarks. All but the plain reference use all
/// cores.
enum class HostVariant : int32_t { fastest, reference, portable, avx2, avx512 };

/// Whether this machine can run it.
bool can_run(HostVariant variant) noexcept;

/// The variant itself, or the one that is fastest here.
HostVariant chosen(HostVariant variant) noexcept;

}  // namespace kv
