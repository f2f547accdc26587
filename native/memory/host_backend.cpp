#include "memory/host_backend.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>
#include <thread>
#include <vector>

#include "memory/error.h"
#include "memory/host_memory_info.h"

#ifdef __linux__
#include <sys/mman.h>
#include <unistd.h>
#endif
#ifdef _WIN32
#include <malloc.h>
#endif

namespace kv {
namespace {

// Smaller requests are left to the allocator: asking the system each time would cost more than it can tell.
constexpr size_t kBytesWorthAsking = size_t{16} << 20;

/// Bytes that this process was promised but has not touched: the system still counts them as free.
std::atomic<size_t> untouched_bytes = 0;

void* aligned_allocate(size_t bytes) noexcept {
#ifdef _WIN32
  return _aligned_malloc(bytes, kNaturalAlignment);
#else
  void* address = nullptr;
  return posix_memalign(&address, kNaturalAlignment, bytes) == 0 ? address : nullptr;
#endif
}

void aligned_free(void* address) noexcept {
#ifdef _WIN32
  _aligned_free(address);
#else
  std::free(address);
#endif
}

/// Makes every page resident now, so that running out of memory cannot come later, as a killed process.
void make_resident(std::byte* address, size_t bytes) noexcept {
  constexpr size_t page_bytes = 4096;
#ifdef MADV_POPULATE_WRITE
  const auto system_page_bytes = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const auto start = reinterpret_cast<uintptr_t>(address) / system_page_bytes * system_page_bytes;
  const auto end = reinterpret_cast<uintptr_t>(address) + bytes;
  if (madvise(reinterpret_cast<void*>(start), end - start, MADV_POPULATE_WRITE) == 0) return;
#endif
  const auto touch = [&](size_t offset) { const_cast<volatile std::byte&>(address[offset]) = {}; };
  for (size_t offset = 0; offset < bytes; offset += page_bytes) touch(offset);
  touch(bytes - 1);
}

/// An allocation that is freed with the last task that shares it.
class SharedBlock {
 public:
  SharedBlock() = default;
  ~SharedBlock() { aligned_free(address_); }
  SharedBlock(const SharedBlock&) = delete;
  SharedBlock& operator=(const SharedBlock&) = delete;
  void own(void* address) noexcept { address_ = address; }

 private:
  void* address_ = nullptr;
};

}  // namespace

const DeviceProperties& host_device_properties() {
  static const DeviceProperties properties{
      .name = "host",
      .kind = "host",
      .description = "host memory",
      .total_bytes = host_memory_info().total_bytes,
      .uuid = "",
      .pci_bus_id = "",
      .num_multiprocessors = static_cast<int>(std::thread::hardware_concurrency()),
  };
  return properties;
}

MemoryInfo HostBackend::memory_info() {
  const MemoryInfo info = host_memory_info();
  return {info.free_bytes - std::min(info.free_bytes, untouched_bytes.load()), info.total_bytes};
}

void* HostBackend::allocate(size_t bytes, MemoryKind, Stream& stream) {
  if (bytes < kBytesWorthAsking) {
    if (void* address = aligned_allocate(bytes)) return address;
    throw out_of_memory("host", bytes, memory_info().free_bytes, memory_info().total_bytes);
  }
  const MemoryInfo info = memory_info();
  void* address = bytes <= info.free_bytes ? aligned_allocate(bytes) : nullptr;
  if (address == nullptr) throw out_of_memory("host", bytes, info.free_bytes, info.total_bytes);
  untouched_bytes += bytes;
  try {
    static_cast<HostStream&>(stream).enqueue([address, bytes] {
      make_resident(static_cast<std::byte*>(address), bytes);
      untouched_bytes -= bytes;
    });
  } catch (...) {
    untouched_bytes -= bytes;
    aligned_free(address);
    throw;
  }
  return address;
}

void HostBackend::free(void* address, MemoryKind, std::span<const StreamPtr> streams) noexcept {
  try {
    const bool is_idle = std::all_of(streams.begin(), streams.end(), [](const auto& each) { return each->is_idle(); });
    if (is_idle) return aligned_free(address);
    const auto shared = std::make_shared<SharedBlock>();
    for (const StreamPtr& stream : streams) static_cast<HostStream&>(*stream).enqueue([shared] {});
    shared->own(address);
  } catch (const std::bad_alloc&) {
    // There is no memory to queue the freeing with: wait for the work instead.
    for (const StreamPtr& stream : streams) stream->synchronize();
    aligned_free(address);
  }
}

bool HostBackend::is_resident(const void* address, size_t bytes, MemoryKind) {
#ifdef __linux__
  const auto page_bytes = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const auto start = reinterpret_cast<uintptr_t>(address) / page_bytes * page_bytes;
  const size_t length = reinterpret_cast<uintptr_t>(address) + bytes - start;
  std::vector<unsigned char> pages((length + page_bytes - 1) / page_bytes);
  if (mincore(reinterpret_cast<void*>(start), length, pages.data()) != 0) return false;
  return std::all_of(pages.begin(), pages.end(), [](unsigned char page) { return (page & 1) != 0; });
#else
  (void)address, (void)bytes;
  return true;
#endif
}

StreamPtr HostBackend::make_stream() {
  return std::make_shared<HostStream>();
}

std::shared_ptr<Event> HostBackend::make_event(bool) {
  return std::make_shared<HostEvent>();
}

}  // namespace kv
