#pragma once
#include <cstddef>

// A stand-in for libcuda that serves host memory, for tests of what must hold when calls fail and when work is late.
// Its kernels are their references on the host; it proves nothing about a GPU. Work is done later, by another thread,
// in any order that streams and events allow; what would be undefined with a real driver ends the process with a
// message.
//   KV_FAKE_CUDA_DEVICES   number of devices, 1 unless set
//   KV_FAKE_CUDA_BYTES     bytes of each, 1 GiB unless set
//   KV_FAKE_CUDA_POOLS     0: the devices have no memory pools
//   KV_FAKE_CUDA_FAIL_AT   "tag:n": the n-th call from now on fails; "tag:n+": all from it on, and queued
//                          work is lost, as after a fault of a kernel; another tag counts anew

/// Holds back all queued work, or lets it go on.
extern "C" void kv_fake_cuda_pause(bool is_paused);
/// Tells when a thread comes into the driver and when it leaves, so that what the driver allocates can be told apart.
extern "C" void kv_fake_cuda_on_inside(void (*told)(bool is_inside));
/// How many calls were made to fail since the process began.
extern "C" size_t kv_fake_cuda_num_failures();
