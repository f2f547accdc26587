#pragma once
#include <atomic>
#include <mutex>
#include <unordered_map>

#include "memory/host_stream.h"

namespace kv {

/// Host memory, with the ordering of a device: work runs on streams' threads, and frees wait for it.
class HostBackend : public Backend {
 public:
  const DeviceProperties& properties() const override { return host_device_properties(); }
  MemoryInfo memory_info() override;
  void* allocate(size_t bytes, MemoryKind kind, Stream& stream) override;
  void free(void* address, MemoryKind kind, std::span<const StreamPtr> streams) noexcept override;
  bool is_resident(const void* address, size_t bytes, MemoryKind kind) override;
  StreamPtr make_stream() override;
  std::shared_ptr<Event> make_event(bool with_timing) override;
  size_t pool_held_bytes() override { return 0; }
  void trim_pool(size_t) override {}
};

}  // namespace kv
