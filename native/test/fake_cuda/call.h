#pragma once
#include <atomic>

#include "test/fake_cuda/state.h"

namespace fake {

constexpr Result kGone = 4;
constexpr Result kInvalidContext = 201;
constexpr Result kNoBinaryForGpu = 209;
constexpr Result kInvalidHandle = 400;
constexpr Result kNotFound = 500;
constexpr Result kLaunchFailed = 719;

/// The device whose context is current on this thread; -1 when none is.
inline thread_local int current_device = -1;

/// What wants to know when a thread comes into the driver and leaves it; null for nobody.
inline std::atomic<void (*)(bool)> on_inside = nullptr;

/// While this lives, its thread works for the driver.
struct Inside {
  Inside() { report(true); }
  ~Inside() { report(false); }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

 private:
  static void report(bool is_inside) {
    if (const auto told = on_inside.load()) told(is_inside);
  }
};

/// Whether KV_FAKE_CUDA_FAIL_AT names this call.
bool fails_now();

/// A call that gives something back: it never fails, except that the driver may have gone.
template <typename Body>
Result give_back(Body body) {
  const Inside inside;
  Lock lock(state().mutex);
  return state().is_gone ? kGone : body(lock);
}

/// A call that KV_FAKE_CUDA_FAIL_AT can make fail.
template <typename Body>
Result call(Body body) {
  return give_back([&](Lock& lock) { return fails_now() ? kLaunchFailed : body(lock); });
}

/// A call that needs a context to be current.
template <typename Body>
Result call_in_context(Body body) {
  return call([&](Lock& lock) {
    const bool has_context = current_device >= 0 && state().num_retained[current_device] > 0;
    return has_context ? body(lock) : kInvalidContext;
  });
}

/// Makes an object of a device, which takes kBytesPerObject of it.
template <typename Handle, typename Object>
Result make(Handle* handle, std::map<Handle, Object>& objects, Object object, int device = current_device) {
  const Result result = charge(device, kBytesPerObject);
  if (result != kSuccess) return result;
  *handle = new_handle<Handle>();
  objects.emplace(*handle, std::move(object));
  return kSuccess;
}

template <typename Handle, typename Object>
Result destroy(Handle handle, std::map<Handle, Object>& objects, int device) {
  state().used_bytes[device] -= kBytesPerObject;
  objects.erase(handle);
  return kSuccess;
}

}  // namespace fake
