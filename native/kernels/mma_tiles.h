#pragma once
#include "kernels/element.h"

// What the tensor-core kernels for every GPU from sm_80 on share: tiles in shared memory, their copies and products.

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800

namespace kv {

/// A tile of shared memory: rows of `kWidth` two-byte elements.
template <int kWidth>
struct SharedTile {
  static constexpr int kPieces = kWidth / 8;
  static constexpr int kPitchPieces = (kPieces + 7) / 8 * 8;

  static __device__ uint32_t piece(uint32_t base, int row, int piece) {
    return base + static_cast<uint32_t>(row * kPitchPieces + (piece ^ (row & 7))) * 16;
  }
  static constexpr int kRowBytes = kPitchPieces * 16;
};

/// Copies 16 bytes, or zeros where `from` is null.
__device__ inline void copy_piece_async(uint32_t to, const std::byte* from, const std::byte* somewhere) {
  const int bytes = from == nullptr ? 0 : 16;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from == nullptr ? somewhere : from),
               "r"(bytes));
}

__device__ inline void commit_copies() {
  asm volatile("cp.async.commit_group;");
}

/// Waits for all groups of copies but the last `kPending`, of all threads.
template <int kPending>
__device__ void wait_for_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending));
  __syncthreads();
}

__device__ inline void load_matrices(uint32_t (&to)[4], uint32_t address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(address));
}

__device__ inline void load_matrices_transposed(uint32_t (&to)[4], uint32_t address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(address));
}

/// sums += a b, of 16 x 16 by 16 x 8.
template <Dtype dtype>
__device__ void multiply(float (&sums)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  if constexpr (dtype == Dtype::bf16) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  } else {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  }
}

}  // namespace kv

#endif
