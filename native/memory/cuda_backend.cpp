#include "memory/cuda_backend.h"

#include <utility>

#include "memory/error.h"

namespace kv {
namespace {

/// Frees what is not of the pool, whose work must be done.
void free_now(CudaContext& context, void* address, MemoryKind kind) noexcept {
  context.try_make_current();
  if (kind == MemoryKind::pinned) {
    context.driver().MemFreeHost(address);
  } else {
    context.driver().MemFree(cuda::device_ptr(address));
  }
}

}  // namespace

CudaBackend::CudaBackend(int ordinal, size_t pool_release_threshold_bytes)
    : context_(std::make_shared<CudaContext>(ordinal)) {
  if (properties().supports_pools) make_pool(pool_release_threshold_bytes);
}

CudaBackend::~CudaBackend() {
  context_->try_make_current();
  if (pool_ != nullptr) context_->driver().MemPoolDestroy(pool_);
}

void CudaBackend::make_pool(size_t release_threshold_bytes) {
  const auto& driver = context_->driver();
  context_->make_current();
  cuda::PoolProps props;
  props.location.id = context_->device();
  driver.check(driver.MemPoolCreate(&pool_, &props), "cuMemPoolCreate");
  uint64_t threshold = release_threshold_bytes;
  const cuda::Result result = driver.MemPoolSetAttribute(pool_, cuda::kPoolReleaseThreshold, &threshold);
  if (result == cuda::kSuccess) return;
  driver.MemPoolDestroy(std::exchange(pool_, nullptr));
  driver.check(result, "cuMemPoolSetAttribute");
}

MemoryInfo CudaBackend::memory_info() {
  context_->make_current();
  MemoryInfo info{};
  context_->driver().check(context_->driver().MemGetInfo(&info.free_bytes, &info.total_bytes), "cuMemGetInfo");
  return info;
}

CudaBackend::Attempt CudaBackend::try_allocate(size_t bytes, MemoryKind kind, Stream& stream) {
  const auto& driver = context_->driver();
  cuda::DevicePtr address = 0;
  if (kind == MemoryKind::pinned) {
    void* pinned = nullptr;
    const auto result = driver.MemHostAlloc(&pinned, bytes, cuda::kHostAllocPortable);
    return {"cuMemHostAlloc", result, pinned};
  }
  if (kind == MemoryKind::pool && pool_ != nullptr) {
    const auto handle = static_cast<CudaStream&>(stream).handle();
    const auto result = driver.MemAllocFromPoolAsync(&address, bytes, pool_, handle);
    return {"cuMemAllocFromPoolAsync", result, reinterpret_cast<void*>(address)};
  }
  const auto result = driver.MemAlloc(&address, bytes);
  return {"cuMemAlloc", result, reinterpret_cast<void*>(address)};
}

void* CudaBackend::allocate(size_t bytes, MemoryKind kind, Stream& stream) {
  context_->make_current();
  Attempt attempt = try_allocate(bytes, kind, stream);
  if (attempt.result == cuda::kOutOfMemory && pool_ != nullptr) {
    // What was freed may still wait for its stream, or be held by the pool.
    stream.synchronize();
    trim_pool(0);
    attempt = try_allocate(bytes, kind, stream);
  }
  if (attempt.result == cuda::kOutOfMemory && kind != MemoryKind::pinned) {
    const MemoryInfo info = memory_info();
    throw out_of_memory(properties().name, bytes, info.free_bytes, info.total_bytes);
  }
  context_->driver().check(attempt.result, attempt.call);
  return attempt.address;
}

void CudaBackend::free(void* address, MemoryKind kind, std::span<const StreamPtr> streams) noexcept {
  if (kind == MemoryKind::pool && pool_ == nullptr) kind = MemoryKind::plain;
  context_->try_make_current();
  try {
    free_in_order(address, kind, streams);
  } catch (...) {
    for (const StreamPtr& stream : streams) {
      context_->driver().StreamSynchronize(static_cast<CudaStream&>(*stream).handle());
    }
    free_now(*context_, address, kind);
  }
}

void CudaBackend::free_in_order(void* address, MemoryKind kind, std::span<const StreamPtr> streams) {
  const StreamPtr& home = streams.front();
  for (const StreamPtr& other : streams.subspan(1)) {
    // Of the stream's own context, which can be another device's: an event is recorded in no other.
    CudaEvent used(static_cast<CudaStream&>(*other).context(), cuda::kEventDisableTiming);
    other->record(used);
    home->wait(used);
  }
  const auto& driver = context_->driver();
  if (kind == MemoryKind::pool) {
    driver.check(driver.MemFreeAsync(cuda::device_ptr(address), static_cast<CudaStream&>(*home).handle()),
                 "cuMemFreeAsync");
  } else if (home->is_idle()) {
    free_now(*context_, address, kind);
  } else {
    // The driver would block here until the work is done; the stream's own thread may do so.
    home->when_done([context = context_, address, kind](std::exception_ptr) { free_now(*context, address, kind); });
  }
}

bool CudaBackend::is_resident(const void* address, size_t bytes, MemoryKind kind) {
  context_->make_current();
  const unsigned wanted = kind == MemoryKind::pinned ? cuda::kMemoryTypeHost : cuda::kMemoryTypeDevice;
  const auto memory_type = [&](const void* at) {
    unsigned type = 0;
    void* values[] = {&type};
    const auto result =
        context_->driver().PointerGetAttributes(1, &cuda::kPointerMemoryType, values, cuda::device_ptr(at));
    context_->driver().check(result, "cuPointerGetAttributes");
    return type;
  };
  return memory_type(address) == wanted && memory_type(static_cast<const std::byte*>(address) + bytes - 1) == wanted;
}

StreamPtr CudaBackend::make_stream() {
  return std::make_shared<CudaStream>(context_);
}

std::shared_ptr<Event> CudaBackend::make_event(bool with_timing) {
  return std::make_shared<CudaEvent>(context_, with_timing ? 0 : cuda::kEventDisableTiming);
}

size_t CudaBackend::pool_held_bytes() {
  if (pool_ == nullptr) return 0;
  const auto read = [&](int attribute) {
    uint64_t bytes = 0;
    const auto result = context_->driver().MemPoolGetAttribute(pool_, attribute, &bytes);
    context_->driver().check(result, "cuMemPoolGetAttribute");
    return bytes;
  };
  context_->make_current();
  return read(cuda::kPoolReservedBytes) - read(cuda::kPoolUsedBytes);
}

void CudaBackend::trim_pool(size_t keep_bytes) {
  if (pool_ == nullptr) return;
  context_->make_current();
  context_->driver().check(context_->driver().MemPoolTrimTo(pool_, keep_bytes), "cuMemPoolTrimTo");
}

}  // namespace kv
