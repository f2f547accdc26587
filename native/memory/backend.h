#pragma once
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <span>
#include <string>

namespace kv {

/// Where an allocation comes from.
enum class MemoryKind {
  pool,   ///< device memory, allocated and freed in the order of a stream
  plain,  ///< device memory, straight from the driver
  pinned  ///< host memory that the device reads and writes by itself
};

/// What every backend aligns to without being asked, as CUDA does.
constexpr size_t kNaturalAlignment = 256;

struct MemoryInfo {
  size_t free_bytes;
  size_t total_bytes;
};

struct DeviceProperties {
  std::string name;         // "host", "cuda:0"
  std::string kind;         // "host" or "cuda"
  std::string description;  // the maker's name of it
  size_t total_bytes = 0;
  std::string uuid;             // empty on the host
  std::string pci_bus_id;       // empty on the host
  int compute_capability = 0;   // 90 means 9.0; 0 on the host
  int num_multiprocessors = 0;  // cores on the host
  int l2_cache_bytes = 0;       // 0 where it is not known
  int driver_version = 0;       // 13000 means 13.0; 0 on the host
  bool supports_pools = false;
};

/// What a kernel launch needs on either side: the CUDA kernel's name and grid, and the reference on the host.
struct KernelCall {
  const char* name;
  unsigned num_thread_blocks[3];
  unsigned num_threads;
  const void* params;
  size_t params_bytes;
  void (*on_host)(const void* params);
  unsigned shared_bytes = 0;  // of dynamic shared memory for each thread block
  bool waits_itself = false;  // by wait_for_queued_work(), so that it may start before what was queued earlier is done
  std::shared_ptr<void> kept_on_host = {};  // what `on_host` uses beside the params, for as long as it can be called
};

/// A point in the order of a stream. HostEvent and CudaEvent implement it.
class Event {
 public:
  virtual ~Event() = default;
  virtual bool is_done() = 0;      ///< true before the first record, as in CUDA
  virtual void synchronize() = 0;  ///< blocks
  virtual double elapsed_ms_since(Event& earlier) = 0;
};

class Stream;
class Capture;

/// Work that a stream recorded, to be queued as often as one likes. HostRecording and CudaRecording implement it.
class Recording {
 public:
  virtual ~Recording() = default;
  /// Queues it on a stream of its device, where it also waits for its last replay on whatever stream. What is queued
  /// goes on when this is destroyed.
  virtual void replay(Stream& stream) = 0;
};

/// Work in order, off the calling thread. HostStream and CudaStream implement it.
class Stream {
 public:
  virtual ~Stream() = default;
  virtual const DeviceProperties& properties() const = 0;  ///< of its device
  virtual void fill(void* to, uint8_t value, size_t bytes) = 0;
  virtual void copy(void* to, const void* from, size_t bytes) = 0;
  /// Copies from ordinary host memory, which may change or go away as soon as this returns.
  virtual void upload(void* to, const void* from, size_t bytes) = 0;
  /// Copies to ordinary host memory; blocks until it is there.
  virtual void download(void* to, const void* from, size_t bytes) = 0;
  virtual void launch(const KernelCall& call) = 0;
  /// Device memory with no particular contents for the kernels that are queued next on this stream, or captured next:
  /// then it is the capture's. Null where the host is the device.
  virtual void* workspace(size_t) { return nullptr; }
  /// The same, but of zeros: for counters, which each kernel leaves at zero.
  virtual void* counters(size_t) { return nullptr; }
  virtual void record(Event& event) = 0;
  virtual void wait(Event& event) = 0;
  virtual void synchronize() = 0;  ///< blocks; throws what the work threw
  virtual bool is_idle() = 0;
  /// Calls back, on a thread of the stream, once everything queued so far is done.
  virtual void when_done(std::function<void(std::exception_ptr)> callback) = 0;

  /// The capture that takes the work of fill(), copy() and launch(), or null. All else is still about what was queued.
  Capture* capture() const noexcept { return capture_; }

 protected:
  /// From here on fill(), copy() and launch() are recorded instead of queued.
  virtual void begin_recording() = 0;
  /// Ends that, also when it throws.
  virtual std::unique_ptr<Recording> end_recording() = 0;
  virtual void abandon_recording() noexcept = 0;

 private:
  friend class Capture;
  Capture* capture_ = nullptr;
};

using StreamPtr = std::shared_ptr<Stream>;

/// One kind of memory and the streams that work on it. HostBackend and CudaBackend implement it.
class Backend {
 public:
  virtual ~Backend() = default;
  virtual const DeviceProperties& properties() const = 0;
  virtual MemoryInfo memory_info() = 0;
  /// At least kNaturalAlignment aligned. Throws OUT_OF_MEMORY.
  virtual void* allocate(size_t bytes, MemoryKind kind, Stream& stream) = 0;
  /// Frees after all that `streams` have queued so far; the first of them is the one it was allocated on.
  virtual void free(void* address, MemoryKind kind, std::span<const StreamPtr> streams) noexcept = 0;
  virtual bool is_resident(const void* address, size_t bytes, MemoryKind kind) = 0;
  virtual StreamPtr make_stream() = 0;
  virtual std::shared_ptr<Event> make_event(bool with_timing) = 0;
  /// Pool memory that is free but still held, and giving back all of it beyond `keep_bytes`.
  virtual size_t pool_held_bytes() = 0;
  virtual void trim_pool(size_t keep_bytes) = 0;
};

}  // namespace kv
