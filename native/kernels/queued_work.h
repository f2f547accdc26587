#pragma once

namespace kv {

#ifdef __CUDACC__
/// Lets the stream's next kernel start, to wait likewise, and waits for all that was queued before this one. The first
/// thing in a kernel whose `KernelCall` says that it `waits_itself`: its threads may touch nothing before.
__device__ inline void wait_for_queued_work() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
#endif

}  // namespace kv
