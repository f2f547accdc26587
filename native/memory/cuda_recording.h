#pragma once
#include <memory>

#include "memory/cuda_stream.h"

namespace kv {

/// A stream of its own for the driver to capture. What is given to the stream that is recorded meanwhile goes on being
/// queued: the driver allows neither frees nor waits of a stream that it captures.
class CudaCapture {
 public:
  explicit CudaCapture(std::shared_ptr<CudaContext> context);
  ~CudaCapture();
  CudaCapture(const CudaCapture&) = delete;
  CudaCapture& operator=(const CudaCapture&) = delete;

  cuda::StreamHandle handle() const noexcept { return handle_; }
  /// What was captured, for the caller to destroy. To be called once.
  cuda::GraphHandle end();

 private:
  std::shared_ptr<CudaContext> context_;
  cuda::StreamHandle handle_ = nullptr;
  bool is_capturing_ = true;
};

/// An executable graph of the driver.
class CudaRecording : public Recording {
 public:
  /// Ends the capture.
  CudaRecording(std::shared_ptr<CudaContext> context, CudaCapture& capture);
  ~CudaRecording() override;
  CudaRecording(const CudaRecording&) = delete;
  CudaRecording& operator=(const CudaRecording&) = delete;

  void replay(Stream& stream) override;

 private:
  std::shared_ptr<CudaContext> context_;
  cuda::GraphExec exec_ = nullptr;
};

}  // namespace kv
