#pragma once
#include <array>
#include <memory>

#include "kernels/host/host_threads.h"
#include "memory/cuda_stream.h"

namespace kv {

/// Long copies between a device and pageable memory, through two pinned buffers by turns: while the device reads or
/// writes one, several threads copy the other. The driver does the same with one thread, which is slower than the bus.
class CudaStaging {
 public:
  /// Shorter copies are the driver's own.
  static constexpr size_t kLeastBytes = size_t{1} << 20;

  CudaStaging(std::shared_ptr<CudaContext> context, cuda::StreamHandle stream);
  /// Waits for what uses the buffers.
  ~CudaStaging();
  CudaStaging(const CudaStaging&) = delete;
  CudaStaging& operator=(const CudaStaging&) = delete;

  /// Returns when all bytes were read; the last of them may still be on their way to the device.
  void upload(std::byte* to, const std::byte* from, size_t bytes);
  /// Returns when the bytes are there.
  void download(std::byte* to, const std::byte* from, size_t bytes);

 private:
  struct Buffer {
    std::byte* memory = nullptr;
    std::unique_ptr<CudaEvent> used;  // the device's last copy from or to it
  };

  void begin_download(Buffer& buffer, const std::byte* from, size_t bytes);
  void copy_on_host(std::byte* to, const std::byte* from, size_t bytes);

  std::shared_ptr<CudaContext> context_;
  cuda::StreamHandle stream_;
  std::shared_ptr<HostThreads> threads_;
  std::array<Buffer, 2> buffers_;
};

}  // namespace kv
