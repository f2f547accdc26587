#include <cstring>

#include "test/fake_cuda/call.h"
#include "test/fake_cuda/fake_cuda.h"
#include "test/fake_cuda/functions.h"

#define KV_EXPORT extern "C" __attribute__((visibility("default")))

KV_EXPORT void kv_fake_cuda_pause(bool is_paused) {
  {
    const fake::Lock lock(fake::state().mutex);
    fake::state().is_paused = is_paused;
  }
  fake::state().changed.notify_all();
}

KV_EXPORT void kv_fake_cuda_on_inside(void (*told)(bool is_inside)) {
  fake::on_inside = told;
}

KV_EXPORT size_t kv_fake_cuda_num_failures() {
  const fake::Lock lock(fake::state().mutex);
  return fake::state().num_failures;
}

KV_EXPORT fake::Result cuGetProcAddress_v2(const char* name, void** found, int, uint64_t, int*) {
#define KV_FIND(member, symbol, version, parameters) \
  if (std::strcmp(name, symbol) == 0) *found = reinterpret_cast<void*>(&fake::member);
  KV_CUDA_FUNCTIONS(KV_FIND)
#undef KV_FIND
  return kv::cuda::kSuccess;
}
