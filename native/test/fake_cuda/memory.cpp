#include "test/fake_cuda/memory.h"

#include <cstdlib>
#include <cstring>

#include "test/fake_cuda/call.h"
#include "test/fake_cuda/functions.h"

namespace fake {
namespace {

constexpr unsigned kMemoryTypeHost = 1;
constexpr unsigned kMemoryTypeDevice = 2;

/// The allocation that an address lies in; null for what is not the driver's.
Allocation* allocation_of(DevicePtr address, size_t bytes) {
  auto after = state().allocations.upper_bound(address);
  if (after == state().allocations.begin()) return nullptr;
  auto& [start, allocation] = *std::prev(after);
  const DevicePtr end = start + allocation.bytes;
  if (address >= end) return nullptr;
  if (bytes > end - address) complain("work goes beyond the end of an allocation");
  return &allocation;
}

Result allocate(DevicePtr* address, Allocation allocation) {
  if (allocation.bytes == 0) return kInvalidValue;
  const Result result = charge(allocation.device, allocation.is_pinned ? 0 : allocation.bytes);
  if (result != kSuccess) return result;
  void* memory = nullptr;
  if (posix_memalign(&memory, 256, allocation.bytes) != 0) complain("the host has no memory left");
  std::memset(memory, 0xAB, allocation.bytes);  // fresh memory is not zero on a GPU either
  *address = reinterpret_cast<DevicePtr>(memory);
  state().allocations.emplace(*address, allocation);
  return kSuccess;
}

void release(DevicePtr address) {
  const Allocation allocation = find(state().allocations, address, "memory");
  if (!allocation.is_pinned) state().used_bytes[allocation.device] -= allocation.bytes;
  std::free(reinterpret_cast<void*>(address));
  state().allocations.erase(address);
}

void copy_bytes(DevicePtr to, DevicePtr from, size_t bytes) {
  std::memcpy(reinterpret_cast<void*>(to), reinterpret_cast<const void*>(from), bytes);
}

bool is_pinned(const void* address, size_t bytes) {
  const Allocation* allocation = allocation_of(reinterpret_cast<DevicePtr>(address), bytes);
  return allocation != nullptr && allocation->is_pinned;
}

Result queue_copy(DevicePtr to, DevicePtr from, size_t bytes, StreamHandle handle) {
  require_not_freed(to, bytes);
  require_not_freed(from, bytes);
  const auto run = [=] {
    require_usable(to, bytes);
    require_usable(from, bytes);
    copy_bytes(to, from, bytes);
  };
  give(handle, run, {to, from});
  return kSuccess;
}

}  // namespace

void require_usable(DevicePtr address, size_t bytes) {
  const Allocation* allocation = allocation_of(address, bytes);
  if (allocation == nullptr) complain("work touches memory that was freed, or never allocated");
  if (!allocation->is_reached) complain("work touches memory before its stream has come to its allocation");
}

void require_not_freed(DevicePtr address, size_t bytes) {
  allocation_of(address, bytes);
  if (is_freed(address)) complain("work is queued on memory that was freed");
}

bool is_freed(DevicePtr address) {
  const Allocation* allocation = allocation_of(address, 0);
  return allocation == nullptr || allocation->is_freed;
}

Result MemGetInfo(size_t* free_bytes, size_t* total_bytes) {
  return call_in_context([&](Lock& lock) {
    // A figure that does not depend on how far the work has come; a real driver does not wait.
    if (!state().is_paused) wait_until_idle(lock, current_device);
    *total_bytes = bytes_of_device();
    *free_bytes = *total_bytes - state().used_bytes[current_device];
    return kSuccess;
  });
}

Result MemAlloc(DevicePtr* address, size_t bytes) {
  return call_in_context([&](Lock&) { return allocate(address, {bytes, current_device, false, true}); });
}

Result MemFree(DevicePtr address) {
  return give_back([&](Lock& lock) {
    wait_until_idle(lock, find(state().allocations, address, "memory").device);
    release(address);
    return kSuccess;
  });
}

Result MemHostAlloc(void** address, size_t bytes, unsigned) {
  return call_in_context(
      [&](Lock&) { return allocate(reinterpret_cast<DevicePtr*>(address), {bytes, current_device, true, true}); });
}

Result MemFreeHost(void* address) {
  return MemFree(reinterpret_cast<DevicePtr>(address));
}

Result MemPoolCreate(Pool* pool, const PoolProps* props) {
  return call([&](Lock&) {
    const int device = props->location.id;
    return make(pool, state().pools, Thing{device}, device);
  });
}

Result MemPoolDestroy(Pool pool) {
  return give_back([&](Lock&) { return destroy(pool, state().pools, find(state().pools, pool, "a pool").device); });
}

Result MemPoolSetAttribute(Pool, int, void*) {
  return call([](Lock&) { return kSuccess; });
}

Result MemPoolGetAttribute(Pool, int, void* value) {
  return call([&](Lock&) { return *static_cast<uint64_t*>(value) = 0, kSuccess; });
}

Result MemPoolTrimTo(Pool, size_t) {
  return call([](Lock&) { return kSuccess; });
}

Result MemAllocFromPoolAsync(DevicePtr* address, size_t bytes, Pool pool, StreamHandle handle) {
  return call_in_context([&](Lock&) {
    const int device = find(state().pools, pool, "a pool").device;
    if (find(state().streams, handle, "a stream")->device != device) return kInvalidValue;
    const Result result = allocate(address, {bytes, device, false, false});
    if (result != kSuccess) return result;
    enqueue(handle, {.run = [at = *address] { find(state().allocations, at, "memory").is_reached = true; }});
    return kSuccess;
  });
}

Result MemFreeAsync(DevicePtr address, StreamHandle handle) {
  return call([&](Lock&) {
    require_not_freed(address, 0);
    find(state().allocations, address, "memory").is_freed = true;
    enqueue(handle, {.run = [address] { release(address); }, .frees = true});
    return kSuccess;
  });
}

Result MemsetD8Async(DevicePtr address, unsigned char value, size_t bytes, StreamHandle handle) {
  return call_in_context([&](Lock&) {
    require_not_freed(address, bytes);
    const auto run = [=] {
      require_usable(address, bytes);
      std::memset(reinterpret_cast<void*>(address), value, bytes);
    };
    give(handle, run, {address});
    return kSuccess;
  });
}

Result MemcpyAsync(DevicePtr to, DevicePtr from, size_t bytes, StreamHandle handle) {
  return call_in_context([&](Lock&) { return queue_copy(to, from, bytes, handle); });
}

Result MemcpyHtoDAsync(DevicePtr to, const void* from, size_t bytes, StreamHandle handle) {
  return call_in_context([&](Lock&) {
    if (is_pinned(from, bytes)) return queue_copy(to, reinterpret_cast<DevicePtr>(from), bytes, handle);
    require_not_freed(to, bytes);
    const auto* first = static_cast<const std::byte*>(from);
    enqueue(handle, {.run = [to, staged = std::vector<std::byte>(first, first + bytes)] {
              require_usable(to, staged.size());
              copy_bytes(to, reinterpret_cast<DevicePtr>(staged.data()), staged.size());
            }});
    return kSuccess;
  });
}

Result MemcpyDtoHAsync(void* to, DevicePtr from, size_t bytes, StreamHandle handle) {
  return call_in_context([&](Lock& lock) {
    if (is_pinned(to, bytes)) return queue_copy(reinterpret_cast<DevicePtr>(to), from, bytes, handle);
    require_not_freed(from, bytes);
    // To pageable memory the driver returns only when the bytes are there.
    bool is_done = false;
    enqueue(handle, {.run = [&] {
              require_usable(from, bytes);
              copy_bytes(reinterpret_cast<DevicePtr>(to), from, bytes);
              is_done = true;
            }});
    state().changed.wait(lock, [&] { return is_done || state().is_broken; });
    return is_done ? kSuccess : kLaunchFailed;
  });
}

Result PointerGetAttributes(unsigned, const int*, void** values, DevicePtr address) {
  return call([&](Lock&) {
    const Allocation* allocation = allocation_of(address, 0);
    unsigned type = 0;
    if (allocation != nullptr) type = allocation->is_pinned ? kMemoryTypeHost : kMemoryTypeDevice;
    *static_cast<unsigned*>(values[0]) = type;
    return kSuccess;
  });
}

}  // namespace fake
