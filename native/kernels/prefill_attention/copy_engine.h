#pragma once
#include "kernels/kv_view.h"

namespace kv {

/// What the copy engine knows about an array: the driver's CUtensorMap, by value in a kernel's params.
struct alignas(64) TensorMap {
  unsigned char bytes[128];
};

#ifdef __CUDA_ARCH_FEAT_SM90_ALL

// Barriers in shared memory (mbarrier), by address. A phase ends when all arrivals and all bytes announced have come;
// waiting names the parity of the phase.

__device__ inline void init_barrier(uint32_t barrier, int num_arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(num_arrivals) : "memory");
}

__device__ inline void arrive(uint32_t barrier) {
  asm volatile("mbarrier.arrive.release.cta.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}

__device__ inline void arrive_expecting(uint32_t barrier, int num_bytes) {
  asm volatile("mbarrier.arrive.expect_tx.release.cta.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(num_bytes)
               : "memory");
}

/// Whether wait_for() would return at once.
__device__ inline bool is_over(uint32_t barrier, int parity) {
  uint32_t result;
  asm volatile(
      "{\n.reg .pred done;\n"
      "mbarrier.test_wait.parity.acquire.cta.shared::cta.b64 done, [%1], %2;\nselp.u32 %0, 1, 0, done;\n}"
      : "=r"(result)
      : "r"(barrier), "r"(parity)
      : "memory");
  return result != 0;
}

__device__ inline void wait_for(uint32_t barrier, int parity) {
  asm volatile(
      "{\n.reg .pred done;\nagain:\n"
      "mbarrier.try_wait.parity.acquire.cta.shared::cta.b64 done, [%0], %1;\n"
      "@done bra finished;\nbra again;\nfinished:\n}" ::"r"(barrier),
      "r"(parity)
      : "memory");
}

/// As waiting for one after the other, but only once as long as a look takes.
__device__ inline void wait_for_both(uint32_t first, int first_parity, uint32_t second, int second_parity) {
  asm volatile(
      "{\n.reg .pred first, second;\nagain:\n"
      "mbarrier.try_wait.parity.acquire.cta.shared::cta.b64 first, [%0], %1;\n"
      "mbarrier.try_wait.parity.acquire.cta.shared::cta.b64 second, [%2], %3;\n"
      "and.pred first, first, second;\n@first bra finished;\nbra again;\nfinished:\n}" ::"r"(first),
      "r"(first_parity), "r"(second), "r"(second_parity)
      : "memory");
}

/// Looks only so often: a warp that waits long takes nothing from the others then.
__device__ inline void wait_patiently_for(uint32_t barrier, int parity, int nanoseconds) {
  while (!is_over(barrier, parity)) __nanosleep(nanoseconds);
}

/// Makes ordinary stores to shared memory, barriers among them, visible to the copy engine and the tensor cores.
__device__ inline void fence_for_engines() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

/// Copies a box of an array of three or four axes, from the innermost one on; outside of the array there are zeros.
__device__ inline void copy_box(uint32_t to, const TensorMap& map, int x, int y, int z, uint32_t barrier) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3, %4}], [%5];" ::
          "r"(to),
      "l"(&map), "r"(x), "r"(y), "r"(z), "r"(barrier)
      : "memory");
}

__device__ inline void copy_box(uint32_t to, const TensorMap& map, int x, int y, int z, int w, uint32_t barrier) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3, %4, %5}], "
      "[%6];" ::"r"(to),
      "l"(&map), "r"(x), "r"(y), "r"(z), "r"(w), "r"(barrier)
      : "memory");
}

#endif

}  // namespace kv
