#include "memory/cuda_recording.h"

#include <utility>

namespace kv {

CudaCapture::CudaCapture(std::shared_ptr<CudaContext> context) : context_(std::move(context)) {
  const auto& driver = context_->driver();
  context_->make_current();
  driver.check(driver.StreamCreate(&handle_, cuda::kStreamNonBlocking), "cuStreamCreate");
  // Relaxed: kernels may have to be loaded and workspaces allocated meanwhile, which the other modes forbid to the
  // whole thread, and one of them to all threads. They guard against work that depends on what is being captured;
  // nobody else knows this stream.
  const cuda::Result result = driver.StreamBeginCapture(handle_, cuda::kCaptureRelaxed);
  if (result == cuda::kSuccess) return;
  driver.StreamDestroy(handle_);
  driver.check(result, "cuStreamBeginCapture");
}

CudaCapture::~CudaCapture() {
  context_->try_make_current();
  const auto& driver = context_->driver();
  cuda::GraphHandle graph = nullptr;
  if (is_capturing_ && driver.StreamEndCapture(handle_, &graph) == cuda::kSuccess) driver.GraphDestroy(graph);
  driver.StreamDestroy(handle_);
}

cuda::GraphHandle CudaCapture::end() {
  context_->make_current();
  cuda::GraphHandle graph = nullptr;
  is_capturing_ = false;
  context_->driver().check(context_->driver().StreamEndCapture(handle_, &graph), "cuStreamEndCapture");
  return graph;
}

CudaRecording::CudaRecording(std::shared_ptr<CudaContext> context, CudaCapture& capture)
    : context_(std::move(context)) {
  const auto& driver = context_->driver();
  const cuda::GraphHandle graph = capture.end();
  const cuda::Result result = driver.GraphInstantiate(&exec_, graph, 0);
  driver.GraphDestroy(graph);
  driver.check(result, "cuGraphInstantiateWithFlags");
}

CudaRecording::~CudaRecording() {
  context_->try_make_current();
  // The driver frees it once its last launch is done.
  context_->driver().GraphExecDestroy(exec_);
}

void CudaRecording::replay(Stream& stream) {
  context_->make_current();
  // The driver puts it behind the last launch of the same executable graph, too.
  const auto handle = static_cast<CudaStream&>(stream).handle();
  context_->driver().check(context_->driver().GraphLaunch(exec_, handle), "cuGraphLaunch");
}

}  // namespace kv
