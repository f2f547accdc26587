#include "memory/cuda_backend.h"

#include <cstdio>
#include <utility>

#include "memory/error.h"

namespace kv {
namespace {

// CUdevice_attribute
constexpr int kMultiprocessorCount = 16;
constexpr int kL2CacheBytes = 38;
constexpr int kComputeCapabilityMajor = 75;
constexpr int kComputeCapabilityMinor = 76;
constexpr int kMemoryPoolsSupported = 115;

cuda::DevicePtr device_ptr(const void* address) {
  return reinterpret_cast<cuda::DevicePtr>(address);
}

/// Frees what is not of the pool, whose work must be done.
void free_now(CudaContext& context, void* address, MemoryKind kind) noexcept {
  context.try_make_current();
  if (kind == MemoryKind::pinned) {
    context.driver().MemFreeHost(address);
  } else {
    context.driver().MemFree(device_ptr(address));
  }
}

/// As nvidia-smi prints it: GPU-xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx
std::string uuid_text(const cuda::Uuid& uuid) {
  std::string text = "GPU";
  for (int i = 0; i < 16; ++i) {
    char digits[3];
    std::snprintf(digits, sizeof digits, "%02x", uuid.bytes[i]);
    if (i == 0 || i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += digits;
  }
  return text;
}

}  // namespace

int num_cuda_devices() {
  const auto& driver = cuda::driver();
  int count = 0;
  driver.check(driver.DeviceGetCount(&count), "cuDeviceGetCount");
  return count;
}

DeviceProperties cuda_device_properties(int ordinal) {
  const auto& driver = cuda::driver();
  cuda::Device device = 0;
  driver.check(driver.DeviceGet(&device, ordinal), "cuDeviceGet");
  const auto attribute = [&](int which) {
    int value = 0;
    driver.check(driver.DeviceGetAttribute(&value, which, device), "cuDeviceGetAttribute");
    return value;
  };
  char text[256] = {};
  cuda::Uuid uuid{};
  DeviceProperties properties;
  properties.name = "cuda:" + std::to_string(ordinal);
  properties.kind = "cuda";
  driver.check(driver.DeviceGetName(text, sizeof text, device), "cuDeviceGetName");
  properties.description = text;
  driver.check(driver.DeviceTotalMem(&properties.total_bytes, device), "cuDeviceTotalMem");
  driver.check(driver.DeviceGetUuid(&uuid, device), "cuDeviceGetUuid");
  properties.uuid = uuid_text(uuid);
  driver.check(driver.DeviceGetPCIBusId(text, sizeof text, device), "cuDeviceGetPCIBusId");
  properties.pci_bus_id = text;
  properties.compute_capability = 10 * attribute(kComputeCapabilityMajor) + attribute(kComputeCapabilityMinor);
  properties.num_multiprocessors = attribute(kMultiprocessorCount);
  properties.l2_cache_bytes = attribute(kL2CacheBytes);
  properties.supports_pools = attribute(kMemoryPoolsSupported) != 0;
  driver.check(driver.DriverGetVersion(&properties.driver_version), "cuDriverGetVersion");
  return properties;
}

CudaBackend::CudaBackend(int ordinal, size_t pool_release_threshold_bytes)
    : context_(std::make_shared<CudaContext>(ordinal)), properties_(cuda_device_properties(ordinal)) {
  if (properties_.supports_pools) make_pool(pool_release_threshold_bytes);
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
    throw out_of_memory(properties_.name, bytes, info.free_bytes, info.total_bytes);
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
    driver.check(driver.MemFreeAsync(device_ptr(address), static_cast<CudaStream&>(*home).handle()), "cuMemFreeAsync");
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
    const auto result = context_->driver().PointerGetAttribute(&type, cuda::kPointerMemoryType, device_ptr(at));
    context_->driver().check(result, "cuPointerGetAttribute");
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
