// A stand-in for libcuda that serves host memory and injects faults, for tests of what must hold when calls fail. It
// runs no kernel and proves nothing about a GPU. Work is done at the call, in whatever stream.
//   KV_FAKE_CUDA_DEVICES   number of devices, 1 unless set
//   KV_FAKE_CUDA_BYTES     bytes of each, 1 GiB unless set
//   KV_FAKE_CUDA_FAIL_AT   "tag:n": the n-th call from now on fails; another tag counts anew
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>

#include "memory/cuda_driver.h"

using namespace kv::cuda;

namespace {

constexpr Result kInvalidValue = 1;
constexpr Result kNoBinaryForGpu = 209;
constexpr Result kLaunchFailed = 719;
// What streams, events, pools and contexts take, so that one that is leaked shows in the free bytes.
constexpr size_t kBytesPerObject = 1024;

std::recursive_mutex mutex;
std::map<DevicePtr, std::pair<size_t, int>> allocations;  // address: bytes, device
size_t used_bytes[64] = {};
thread_local int current_device = 0;

size_t setting(const char* name, size_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr || *text == '\0' ? otherwise : std::strtoull(text, nullptr, 10);
}

size_t bytes_in_all() {
  return setting("KV_FAKE_CUDA_BYTES", size_t{1} << 30);
}
int num_devices() {
  return static_cast<int>(setting("KV_FAKE_CUDA_DEVICES", 1));
}

/// Whether this call is the one that KV_FAKE_CUDA_FAIL_AT names.
bool fails_now() {
  static std::string tag;
  static size_t num_calls = 0;
  const char* text = std::getenv("KV_FAKE_CUDA_FAIL_AT");
  const std::string wanted = text == nullptr ? "" : text;
  if (wanted != tag) {
    tag = wanted;
    num_calls = 0;
  }
  const size_t colon = tag.find(':');
  return colon != std::string::npos && ++num_calls == std::strtoull(tag.c_str() + colon + 1, nullptr, 10);
}

Result take(size_t bytes) {
  if (used_bytes[current_device] + bytes > bytes_in_all()) return kOutOfMemory;
  used_bytes[current_device] += bytes;
  return kSuccess;
}

template <typename Handle>
Result make_object(Handle* handle) {
  const Result result = take(kBytesPerObject);
  if (result != kSuccess) return result;
  auto* object = new int(current_device);
  *handle = reinterpret_cast<Handle>(object);
  return kSuccess;
}

template <typename Handle>
Result drop_object(Handle handle) {
  auto* object = reinterpret_cast<int*>(handle);
  used_bytes[*object] -= kBytesPerObject;
  delete object;
  return kSuccess;
}

Result allocate(DevicePtr* address, size_t bytes, bool on_device) {
  if (on_device) {
    const Result result = take(bytes);
    if (result != kSuccess) return result;
  }
  void* memory = nullptr;
  if (posix_memalign(&memory, 256, std::max<size_t>(bytes, 1)) != 0) return kOutOfMemory;
  std::memset(memory, 0xAB, bytes);  // fresh memory is not zero on a GPU either
  *address = reinterpret_cast<DevicePtr>(memory);
  allocations[*address] = {on_device ? bytes : 0, on_device ? current_device : -1};
  return kSuccess;
}

Result release(DevicePtr address) {
  const auto found = allocations.find(address);
  if (found == allocations.end()) return kInvalidValue;
  const auto [bytes, device] = found->second;
  if (device >= 0) used_bytes[device] -= bytes;
  std::free(reinterpret_cast<void*>(address));
  allocations.erase(found);
  return kSuccess;
}

Result text_out(char* text, int length, const char* value) {
  std::strncpy(text, value, static_cast<size_t>(length));
  return kSuccess;
}

Result attribute(int* value, int which) {
  switch (which) {
    case 16:
      *value = 1;
      break;
    case 38:
      *value = 1 << 20;
      break;
    case 75:
      *value = 9;
      break;
    case 76:
      *value = 0;
      break;
    case 115:
      *value = setting("KV_FAKE_CUDA_POOLS", 1) != 0;
      break;
    default:
      return kInvalidValue;
  }
  return kSuccess;
}

Result move_bytes(DevicePtr to, DevicePtr from, size_t bytes) {
  std::memcpy(reinterpret_cast<void*>(to), reinterpret_cast<const void*>(from), bytes);
  return kSuccess;
}

#define KV_FAIL_OR_LOCK()             \
  const std::scoped_lock lock(mutex); \
  if (fails_now()) return kLaunchFailed

// One function for each of the driver's, under its own name with a prefix.
Result fake_Init(unsigned) {
  KV_FAIL_OR_LOCK();
  return kSuccess;
}
Result fake_DriverGetVersion(int* version) {
  KV_FAIL_OR_LOCK();
  *version = 12000;
  return kSuccess;
}
Result fake_DeviceGetCount(int* count) {
  KV_FAIL_OR_LOCK();
  *count = num_devices();
  return kSuccess;
}
Result fake_DeviceGet(Device* device, int ordinal) {
  KV_FAIL_OR_LOCK();
  *device = ordinal;
  return kSuccess;
}
Result fake_DeviceGetName(char* text, int length, Device) {
  KV_FAIL_OR_LOCK();
  return text_out(text, length, "fake driver, not a GPU");
}
Result fake_DeviceGetUuid(Uuid* uuid, Device device) {
  KV_FAIL_OR_LOCK();
  uuid->bytes[15] = static_cast<unsigned char>(device);
  return kSuccess;
}
Result fake_DeviceTotalMem(size_t* bytes, Device) {
  KV_FAIL_OR_LOCK();
  *bytes = bytes_in_all();
  return kSuccess;
}
Result fake_DeviceGetAttribute(int* value, int which, Device) {
  KV_FAIL_OR_LOCK();
  return attribute(value, which);
}
Result fake_DeviceGetPCIBusId(char* text, int length, Device) {
  KV_FAIL_OR_LOCK();
  return text_out(text, length, "0000:00:00.0");
}
Result fake_DevicePrimaryCtxRetain(Context* context, Device device) {
  KV_FAIL_OR_LOCK();
  current_device = device;
  *context = reinterpret_cast<Context>(static_cast<intptr_t>(device) + 1);
  return take(kBytesPerObject);
}
Result fake_DevicePrimaryCtxRelease(Device device) {
  const std::scoped_lock lock(mutex);
  used_bytes[device] -= kBytesPerObject;
  return kSuccess;
}
Result fake_CtxSetCurrent(Context context) {
  KV_FAIL_OR_LOCK();
  current_device = static_cast<int>(reinterpret_cast<intptr_t>(context)) - 1;
  return kSuccess;
}
Result fake_MemGetInfo(size_t* free_bytes, size_t* total_bytes) {
  KV_FAIL_OR_LOCK();
  *total_bytes = bytes_in_all();
  *free_bytes = *total_bytes - used_bytes[current_device];
  return kSuccess;
}
Result fake_MemAlloc(DevicePtr* address, size_t bytes) {
  KV_FAIL_OR_LOCK();
  return allocate(address, bytes, true);
}
Result fake_MemFree(DevicePtr address) {
  const std::scoped_lock lock(mutex);
  return release(address);
}
Result fake_MemHostAlloc(void** address, size_t bytes, unsigned) {
  KV_FAIL_OR_LOCK();
  return allocate(reinterpret_cast<DevicePtr*>(address), bytes, false);
}
Result fake_MemFreeHost(void* address) {
  const std::scoped_lock lock(mutex);
  return release(reinterpret_cast<DevicePtr>(address));
}
Result fake_MemPoolCreate(Pool* pool, const PoolProps*) {
  KV_FAIL_OR_LOCK();
  return make_object(pool);
}
Result fake_MemPoolDestroy(Pool pool) {
  const std::scoped_lock lock(mutex);
  return drop_object(pool);
}
Result fake_MemPoolSetAttribute(Pool, int, void*) {
  KV_FAIL_OR_LOCK();
  return kSuccess;
}
Result fake_MemPoolGetAttribute(Pool, int, void* value) {
  KV_FAIL_OR_LOCK();
  *static_cast<uint64_t*>(value) = 0;
  return kSuccess;
}
Result fake_MemPoolTrimTo(Pool, size_t) {
  KV_FAIL_OR_LOCK();
  return kSuccess;
}
Result fake_MemAllocFromPoolAsync(DevicePtr* address, size_t bytes, Pool, StreamHandle) {
  KV_FAIL_OR_LOCK();
  return allocate(address, bytes, true);
}
Result fake_MemFreeAsync(DevicePtr address, StreamHandle) {
  KV_FAIL_OR_LOCK();
  return release(address);
}
Result fake_MemsetD8Async(DevicePtr address, unsigned char value, size_t bytes, StreamHandle) {
  KV_FAIL_OR_LOCK();
  std::memset(reinterpret_cast<void*>(address), value, bytes);
  return kSuccess;
}
Result fake_MemcpyAsync(DevicePtr to, DevicePtr from, size_t bytes, StreamHandle) {
  KV_FAIL_OR_LOCK();
  return move_bytes(to, from, bytes);
}
Result fake_MemcpyHtoDAsync(DevicePtr to, const void* from, size_t bytes, StreamHandle) {
  KV_FAIL_OR_LOCK();
  return move_bytes(to, reinterpret_cast<DevicePtr>(from), bytes);
}
Result fake_MemcpyDtoHAsync(void* to, DevicePtr from, size_t bytes, StreamHandle) {
  KV_FAIL_OR_LOCK();
  return move_bytes(reinterpret_cast<DevicePtr>(to), from, bytes);
}
Result fake_PointerGetAttribute(void* value, int, DevicePtr address) {
  KV_FAIL_OR_LOCK();
  auto after = allocations.upper_bound(address);
  if (after == allocations.begin()) return kInvalidValue;
  *static_cast<unsigned*>(value) = std::prev(after)->second.second >= 0 ? 2 : 1;
  return kSuccess;
}
Result fake_StreamCreate(StreamHandle* stream, unsigned) {
  KV_FAIL_OR_LOCK();
  return make_object(stream);
}
Result fake_StreamDestroy(StreamHandle stream) {
  const std::scoped_lock lock(mutex);
  return drop_object(stream);
}
Result fake_StreamSynchronize(StreamHandle) {
  KV_FAIL_OR_LOCK();
  return kSuccess;
}
Result fake_StreamQuery(StreamHandle) {
  const std::scoped_lock lock(mutex);
  return kSuccess;
}
Result fake_StreamWaitEvent(StreamHandle, EventHandle, unsigned) {
  KV_FAIL_OR_LOCK();
  return kSuccess;
}
Result fake_EventCreate(EventHandle* event, unsigned) {
  KV_FAIL_OR_LOCK();
  return make_object(event);
}
Result fake_EventDestroy(EventHandle event) {
  const std::scoped_lock lock(mutex);
  return drop_object(event);
}
Result fake_EventRecord(EventHandle, StreamHandle) {
  KV_FAIL_OR_LOCK();
  return kSuccess;
}
Result fake_EventQuery(EventHandle) {
  KV_FAIL_OR_LOCK();
  return kSuccess;
}
Result fake_EventSynchronize(EventHandle) {
  KV_FAIL_OR_LOCK();
  return kSuccess;
}
Result fake_EventElapsedTime(float* milliseconds, EventHandle, EventHandle) {
  KV_FAIL_OR_LOCK();
  *milliseconds = 0;
  return kSuccess;
}
Result fake_ModuleLoadData(Module*, const void*) {
  KV_FAIL_OR_LOCK();
  return kNoBinaryForGpu;
}
Result fake_ModuleUnload(Module) {
  return kSuccess;
}
Result fake_ModuleGetFunction(Function*, Module, const char*) {
  KV_FAIL_OR_LOCK();
  return kNoBinaryForGpu;
}
Result fake_LaunchKernel(Function, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, StreamHandle,
                         void**, void**) {
  return kNoBinaryForGpu;
}
Result fake_GetErrorName(Result result, const char** name) {
  *name = result == kOutOfMemory    ? "CUDA_ERROR_OUT_OF_MEMORY"
          : result == kLaunchFailed ? "CUDA_ERROR_LAUNCH_FAILED"
                                    : "CUDA_ERROR_OTHER";
  return kSuccess;
}
Result fake_GetErrorString(Result, const char** text) {
  *text = "injected by the fake driver";
  return kSuccess;
}

}  // namespace

extern "C" __attribute__((visibility("default"))) Result cuGetProcAddress_v2(const char* name, void** found, int,
                                                                             uint64_t, int*) {
#define KV_FIND(member, symbol, version, parameters) \
  if (std::strcmp(name, symbol) == 0) *found = reinterpret_cast<void*>(&fake_##member);
  KV_CUDA_FUNCTIONS(KV_FIND)
#undef KV_FIND
  return kSuccess;
}
