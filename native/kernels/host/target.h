#pragma once
// Compiling parts of the core for instruction sets that not every processor has: what stands after
// KV_TARGET_BEGIN("avx2,fma") may only be called where the processor has them. The headers of the standard library come
// before it, so that none of their functions is compiled for that instruction set, since the linker keeps one of each.
#if defined(__x86_64__) || defined(_M_X64)
#define KV_X86_64 1
#include <immintrin.h>
#else
#define KV_X86_64 0
#endif

#define KV_PRAGMA(text) _Pragma(#text)
#if defined(__clang__)
#define KV_TARGET_BEGIN(features) \
  KV_PRAGMA(clang attribute push(__attribute__((target(features))), apply_to = function))
#define KV_TARGET_END _Pragma("clang attribute pop")
#elif defined(__GNUC__)
#define KV_TARGET_BEGIN(features) _Pragma("GCC push_options") KV_PRAGMA(GCC target(features))
#define KV_TARGET_END _Pragma("GCC pop_options")
#else
// Microsoft's compiler takes every intrinsic everywhere.
#define KV_TARGET_BEGIN(features)
#define KV_TARGET_END
#endif

#if defined(__GNUC__)
#define KV_PREFETCH(address) __builtin_prefetch(address)
#elif KV_X86_64
#define KV_PREFETCH(address) _mm_prefetch(reinterpret_cast<const char*>(address), _MM_HINT_T0)
#else
#define KV_PREFETCH(address) (void)(address)
#endif
