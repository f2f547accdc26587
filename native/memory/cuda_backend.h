#pragma once
#include <memory>

#include "memory/backend.h"
#include "memory/cuda_stream.h"

namespace kv {

/// A CUDA device through its primary context, with a memory pool of its own.
class CudaBackend : public Backend {
 public:
  CudaBackend(int ordinal, size_t pool_release_threshold_bytes);
  ~CudaBackend() override;

  const DeviceProperties& properties() const override { return context_->properties(); }
  MemoryInfo memory_info() override;
  void* allocate(size_t bytes, MemoryKind kind, Stream& stream) override;
  void free(void* address, MemoryKind kind, std::span<const StreamPtr> streams) noexcept override;
  bool is_resident(const void* address, size_t bytes, MemoryKind kind) override;
  StreamPtr make_stream() override;
  std::shared_ptr<Event> make_event(bool with_timing) override;
  size_t pool_held_bytes() override;
  void trim_pool(size_t keep_bytes) override;

 private:
  struct Attempt {
    const char* call;
    cuda::Result result;
    void* address;
  };
  Attempt try_allocate(size_t bytes, MemoryKind kind, Stream& stream);
  void make_pool(size_t release_threshold_bytes);
  void free_in_order(void* address, MemoryKind kind, std::span<const StreamPtr> streams);

  std::shared_ptr<CudaContext> context_;
  cuda::Pool pool_ = nullptr;  // null where the device has no pools: then plain allocations stand in
};

}  // namespace kv
