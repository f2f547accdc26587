#pragma once
#include "kernels/element.h"

#ifdef __CUDA_ARCH_FEAT_SM90_ALL

namespace kv {

// The warp-group instructions of sm_90a: products of 64 rows by a warp group of four warps, whose sums lie in registers
// as those of mma.sync do, each warp having 16 rows. Operands in shared memory are in chunks of 64 columns, 128 bytes a
// row, permuted as the copy engine's 128-byte swizzle does.

/// Describes an operand whose chunks follow each other at `chunk_bytes`; the address is a multiple of 16. What lies
/// `bytes` behind it is described by `bytes / 16` more.
__device__ inline uint32_t operand(uint32_t address, uint32_t chunk_bytes) {
  return address >> 4 | chunk_bytes >> 4 << 16;
}

/// The whole description: groups of eight rows follow each other, and the swizzle is that of 128 bytes.
__device__ inline uint64_t described(uint32_t operand) {
  constexpr uint64_t kEightRows = 1024 >> 4;
  constexpr uint64_t kSwizzle128 = 1;
  return operand | kEightRows << 32 | kSwizzle128 << 62;
}

/// Before the first product, and where registers that products read or add to were written.
__device__ inline void fence_products() {
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}

__device__ inline void commit_products() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}

/// Waits for all groups of products but the last `kPending`.
template <int kPending>
__device__ void wait_for_products() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
}

/// Keeps the compiler from reading or writing sums on the other side of this.
template <int kGroups>
__device__ void fence_sums(float (&sums)[kGroups][4]) {
#pragma unroll
  for (int g = 0; g < kGroups; ++g) {
    asm volatile("" : "+f"(sums[g][0]), "+f"(sums[g][1]), "+f"(sums[g][2]), "+f"(sums[g][3])::"memory");
  }
}

/// Stores four matrices of 8 x 8 two-byte elements, a word of each from every lane, as a product's sums lie; each lane
/// says where one row is, those of a matrix after those of another.
__device__ inline void store_matrices(uint32_t address, uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
  asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(address), "r"(a), "r"(b),
               "r"(c), "r"(d)
               : "memory");
}

__device__ inline uint4 load_shared(uint32_t address) {
  uint4 words;
  asm volatile("ld.shared.v4.b32 {%0, %1, %2, %3}, [%4];"
               : "=r"(words.x), "=r"(words.y), "=r"(words.z), "=r"(words.w)
               : "r"(address)
               : "memory");
  return words;
}

#define KV_SUMS_4(s, g) "+f"(s[g][0]), "+f"(s[g][1]), "+f"(s[g][2]), "+f"(s[g][3])
#define KV_SUMS_16(s, g) KV_SUMS_4(s, g), KV_SUMS_4(s, g + 1), KV_SUMS_4(s, g + 2), KV_SUMS_4(s, g + 3)
#define KV_SUMS_32(s) KV_SUMS_16(s, 0), KV_SUMS_16(s, 4)
#define KV_SUMS_64(s) KV_SUMS_32(s), KV_SUMS_16(s, 8), KV_SUMS_16(s, 12)
#define KV_REGISTERS_32                                                    \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
  "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define KV_REGISTERS_64                                                              \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "           \
  "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, " \
  "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, " \
  "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"

/// sums = a b^T or sums += a b^T, where the rows of both operands hold what is summed over: 16 columns of it.
template <Dtype dtype, int kGroups>
__device__ void multiply_rows(float (&sums)[kGroups][4], uint32_t a, uint32_t b, int add) {
  if constexpr (kGroups == 8 && dtype == Dtype::bf16) {
    asm volatile(
        "{\n.reg .pred add;\nsetp.ne.b32 add, %34, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {" KV_REGISTERS_32 "}, %32, %33, add, 1, 1, 0, 0;\n}"
        : KV_SUMS_32(sums)
        : "l"(described(a)), "l"(described(b)), "r"(add));
  } else if constexpr (kGroups == 8 && dtype == Dtype::fp16) {
    asm volatile(
        "{\n.reg .pred add;\nsetp.ne.b32 add, %34, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n64k16.f32.f16.f16 {" KV_REGISTERS_32 "}, %32, %33, add, 1, 1, 0, 0;\n}"
        : KV_SUMS_32(sums)
        : "l"(described(a)), "l"(described(b)), "r"(add));
  } else if constexpr (kGroups == 16 && dtype == Dtype::bf16) {
    asm volatile(
        "{\n.reg .pred add;\nsetp.ne.b32 add, %66, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {" KV_REGISTERS_64 "}, %64, %65, add, 1, 1, 0, 0;\n}"
        : KV_SUMS_64(sums)
        : "l"(described(a)), "l"(described(b)), "r"(add));
  } else if constexpr (kGroups == 16 && dtype == Dtype::fp16) {
    asm volatile(
        "{\n.reg .pred add;\nsetp.ne.b32 add, %66, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n128k16.f32.f16.f16 {" KV_REGISTERS_64 "}, %64, %65, add, 1, 1, 0, 0;\n}"
        : KV_SUMS_64(sums)
        : "l"(described(a)), "l"(described(b)), "r"(add));
  } else {
    static_assert(kGroups == 0, "no product of this width");
  }
}

/// sums += a b, where b's 16 rows are summed over; a is in registers, as in mma.sync.
template <Dtype dtype, int kGroups>
__device__ void multiply_columns(float (&sums)[kGroups][4], const uint32_t (&a)[4], uint32_t b) {
  if constexpr (kGroups == 8 && dtype == Dtype::bf16) {
    asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {" KV_REGISTERS_32
                 "}, {%32, %33, %34, %35}, %36, 1, 1, 1, 1;"
                 : KV_SUMS_32(sums)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(described(b)));
  } else if constexpr (kGroups == 8 && dtype == Dtype::fp16) {
    asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32.f16.f16 {" KV_REGISTERS_32
                 "}, {%32, %33, %34, %35}, %36, 1, 1, 1, 1;"
                 : KV_SUMS_32(sums)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(described(b)));
  } else if constexpr (kGroups == 16 && dtype == Dtype::bf16) {
    asm volatile("wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {" KV_REGISTERS_64
                 "}, {%64, %65, %66, %67}, %68, 1, 1, 1, 1;"
                 : KV_SUMS_64(sums)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(described(b)));
  } else if constexpr (kGroups == 16 && dtype == Dtype::fp16) {
    asm volatile("wgmma.mma_async.sync.aligned.m64n128k16.f32.f16.f16 {" KV_REGISTERS_64
                 "}, {%64, %65, %66, %67}, %68, 1, 1, 1, 1;"
                 : KV_SUMS_64(sums)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(described(b)));
  } else {
    static_assert(kGroups == 0, "no product of this width");
  }
}

#undef KV_SUMS_4
#undef KV_SUMS_16
#undef KV_SUMS_32
#undef KV_SUMS_64
#undef KV_REGISTERS_32
#undef KV_REGISTERS_64

}  // namespace kv

#endif
