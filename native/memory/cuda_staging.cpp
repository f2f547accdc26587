#include "memory/cuda_staging.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace kv {
namespace {

// Of one buffer: long enough that waking the threads costs little. copyFromHost sends as much as both hold at once.
constexpr size_t kPieceBytes = size_t{4} << 20;
// What a thread takes at once.
constexpr size_t kShareBytes = size_t{256} << 10;

}  // namespace

CudaStaging::CudaStaging(std::shared_ptr<CudaContext> context, cuda::StreamHandle stream)
    : context_(std::move(context)), stream_(stream), threads_(HostThreads::shared_for_copies()) {
  const auto& driver = context_->driver();
  for (Buffer& buffer : buffers_) buffer.used = std::make_unique<CudaEvent>(context_, cuda::kEventDisableTiming);
  void* both = nullptr;
  driver.check(driver.MemHostAlloc(&both, 2 * kPieceBytes, cuda::kHostAllocPortable), "cuMemHostAlloc");
  buffers_[0].memory = static_cast<std::byte*>(both);
  buffers_[1].memory = buffers_[0].memory + kPieceBytes;
}

CudaStaging::~CudaStaging() {
  context_->try_make_current();
  context_->driver().StreamSynchronize(stream_);
  context_->driver().MemFreeHost(buffers_[0].memory);
}

void CudaStaging::upload(std::byte* to, const std::byte* from, size_t bytes) {
  context_->make_current();
  const auto& driver = context_->driver();
  for (size_t done = 0, piece = 0; done < bytes; done += kPieceBytes, ++piece) {
    Buffer& buffer = buffers_[piece % 2];
    const size_t length = std::min(kPieceBytes, bytes - done);
    buffer.used->synchronize();
    copy_on_host(buffer.memory, from + done, length);
    driver.check(driver.MemcpyHtoDAsync(cuda::device_ptr(to + done), buffer.memory, length, stream_),
                 "cuMemcpyHtoDAsync");
    driver.check(driver.EventRecord(buffer.used->handle(), stream_), "cuEventRecord");
  }
}

void CudaStaging::download(std::byte* to, const std::byte* from, size_t bytes) {
  context_->make_current();
  const auto begin = [&](size_t start, size_t piece) {
    if (start < bytes) begin_download(buffers_[piece % 2], from + start, std::min(kPieceBytes, bytes - start));
  };
  begin(0, 0);
  for (size_t done = 0, piece = 0; done < bytes; done += kPieceBytes, ++piece) {
    begin(done + kPieceBytes, piece + 1);
    const Buffer& buffer = buffers_[piece % 2];
    buffer.used->synchronize();
    copy_on_host(to + done, buffer.memory, std::min(kPieceBytes, bytes - done));
  }
}

void CudaStaging::begin_download(Buffer& buffer, const std::byte* from, size_t bytes) {
  const auto& driver = context_->driver();
  driver.check(driver.MemcpyDtoHAsync(buffer.memory, cuda::device_ptr(from), bytes, stream_), "cuMemcpyDtoHAsync");
  driver.check(driver.EventRecord(buffer.used->handle(), stream_), "cuEventRecord");
}

void CudaStaging::copy_on_host(std::byte* to, const std::byte* from, size_t bytes) {
  threads_->run(static_cast<int64_t>((bytes + kShareBytes - 1) / kShareBytes), [&](int64_t share, int) {
    const size_t start = static_cast<size_t>(share) * kShareBytes;
    std::memcpy(to + start, from + start, std::min(kShareBytes, bytes - start));
  });
}

}  // namespace kv
