#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "test/fake_cuda/call.h"
#include "test/fake_cuda/functions.h"

namespace fake {
namespace {

int number_in(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr || *text == '\0' ? otherwise : std::atoi(text);
}

Result text_out(char* text, int length, const char* value) {
  std::strncpy(text, value, static_cast<size_t>(length));
  return kSuccess;
}

template <typename Objects>
size_t num_of(const Objects& objects, int device) {
  return static_cast<size_t>(
      std::count_if(objects.begin(), objects.end(), [&](const auto& each) { return each.second.device == device; }));
}

/// The last owner of a context takes all that was made in it along; our code must not count on that.
void require_empty(int device) {
  size_t left = num_of(state().allocations, device) + num_of(state().pools, device) + num_of(state().modules, device) +
                num_of(state().graphs, device);
  for (const auto& [_, stream] : state().streams) left += stream->device == device;
  for (const auto& [_, event] : state().events) left += event->device == device;
  for (const auto& [_, execution] : state().executions) left += execution->graph.device == device;
  if (left > 0)
    complain("a context is released for the last time with " + std::to_string(left) + " objects left in it");
}

}  // namespace

bool fails_now() {
  std::string& setting = state().failure_setting;
  const char* text = std::getenv("KV_FAKE_CUDA_FAIL_AT");
  const std::string wanted = text == nullptr ? "" : text;
  if (wanted != setting) {
    setting = wanted;
    state().num_calls = 0;
    state().is_broken = false;
  }
  const size_t colon = setting.find(':');
  if (colon == std::string::npos) return false;
  const bool is_the_one = ++state().num_calls == std::strtoull(setting.c_str() + colon + 1, nullptr, 10);
  if (is_the_one && setting.back() == '+') {
    state().is_broken = true;
    abandon_work();
  }
  if (is_the_one || state().is_broken) ++state().num_failures;
  return is_the_one || state().is_broken;
}

Result Init(unsigned) {
  return call([](Lock&) { return kSuccess; });
}

Result DriverGetVersion(int* version) {
  return call([&](Lock&) { return *version = 12000, kSuccess; });
}

Result DeviceGetCount(int* count) {
  return call([&](Lock&) { return *count = std::min(kMaxDevices, number_in("KV_FAKE_CUDA_DEVICES", 1)), kSuccess; });
}

Result DeviceGet(Device* device, int ordinal) {
  return call([&](Lock&) { return *device = ordinal, kSuccess; });
}

Result DeviceGetName(char* text, int length, Device) {
  return call([&](Lock&) { return text_out(text, length, "fake driver, not a GPU"); });
}

Result DeviceGetUuid(Uuid* uuid, Device device) {
  return call([&](Lock&) { return uuid->bytes[15] = static_cast<unsigned char>(device), kSuccess; });
}

Result DeviceTotalMem(size_t* bytes, Device) {
  return call([&](Lock&) { return *bytes = bytes_of_device(), kSuccess; });
}

Result DeviceGetPCIBusId(char* text, int length, Device) {
  return call([&](Lock&) { return text_out(text, length, "0000:00:00.0"); });
}

Result DeviceGetAttribute(int* value, int which, Device) {
  return call([&](Lock&) {
    // Multiprocessors, bytes of the L2 cache, compute capability, memory pools.
    const std::map<int, int> values{
        {16, 1}, {38, 1 << 20}, {75, 9}, {76, 0}, {115, number_in("KV_FAKE_CUDA_POOLS", 1)}};
    const auto found = values.find(which);
    if (found == values.end()) return kInvalidValue;
    *value = found->second;
    return kSuccess;
  });
}

Result DevicePrimaryCtxRetain(Context* context, Device device) {
  return call([&](Lock&) {
    const Result result = charge(device, kBytesPerObject);
    if (result != kSuccess) return result;
    ++state().num_retained[device];
    *context = reinterpret_cast<Context>(static_cast<intptr_t>(device) + 1);
    return kSuccess;
  });
}

Result DevicePrimaryCtxRelease(Device device) {
  return give_back([&](Lock& lock) {
    if (state().num_retained[device] == 0) complain("a context is released more often than it was retained");
    state().used_bytes[device] -= kBytesPerObject;
    if (--state().num_retained[device] > 0) return kSuccess;
    if (state().is_paused) return kSuccess;
    wait_until_idle(lock, device);
    require_empty(device);
    return kSuccess;
  });
}

Result CtxGetCurrent(Context* context) {
  return call([&](Lock&) {
    *context = reinterpret_cast<Context>(static_cast<intptr_t>(current_device + 1));
    return kSuccess;
  });
}

Result CtxSetCurrent(Context context) {
  return call([&](Lock&) {
    const int device = static_cast<int>(reinterpret_cast<intptr_t>(context)) - 1;
    if (state().num_retained[device] == 0) return kInvalidContext;
    current_device = device;
    return kSuccess;
  });
}

Result GetErrorName(Result result, const char** name) {
  const Inside inside;
  const std::map<Result, const char*> names{{kInvalidValue, "CUDA_ERROR_INVALID_VALUE"},
                                            {kOutOfMemory, "CUDA_ERROR_OUT_OF_MEMORY"},
                                            {kGone, "CUDA_ERROR_DEINITIALIZED"},
                                            {kInvalidContext, "CUDA_ERROR_INVALID_CONTEXT"},
                                            {kNoBinaryForGpu, "CUDA_ERROR_NO_BINARY_FOR_GPU"},
                                            {kInvalidHandle, "CUDA_ERROR_INVALID_HANDLE"},
                                            {kNotFound, "CUDA_ERROR_NOT_FOUND"},
                                            {kLaunchFailed, "CUDA_ERROR_LAUNCH_FAILED"}};
  const auto found = names.find(result);
  if (found == names.end()) return kInvalidValue;
  *name = found->second;
  return kSuccess;
}

Result GetErrorString(Result, const char** text) {
  *text = "as the fake driver was told";
  return kSuccess;
}

}  // namespace fake
