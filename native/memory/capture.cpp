#include "memory/capture.h"

#include <algorithm>
#include <string>
#include <utility>

#include "memory/error.h"

namespace kv {

Capture::Capture(std::shared_ptr<Backend> backend, StreamPtr stream)
    : backend_(std::move(backend)), stream_(std::move(stream)) {
  require_no_capture(*stream_, "capture");
  stream_->begin_recording();
  stream_->capture_ = this;
}

Capture::~Capture() {
  if (stream_->capture_ != this) return;
  stream_->capture_ = nullptr;
  stream_->abandon_recording();
}

void* Capture::workspace(size_t bytes) {
  const size_t last_bytes = workspaces_.empty() ? 0 : workspaces_.back()->bytes();
  if (bytes > last_bytes) {
    // Allocated in the order of what was queued, not of what is recorded.
    const size_t wanted = std::max(bytes, 2 * last_bytes);
    workspaces_.push_back(std::make_shared<Memory>(backend_, stream_, wanted, kNaturalAlignment, MemoryKind::pool));
  }
  return workspaces_.empty() ? nullptr : workspaces_.back()->address();
}

Graph Capture::finish() {
  stream_->capture_ = nullptr;
  std::unique_ptr<Recording> recording = stream_->end_recording();
  const auto used = std::exchange(used_, {});
  return {stream_->properties().name, {used.begin(), used.end()}, std::move(workspaces_), std::move(recording)};
}

void require_no_capture(const Stream& stream, const char* operation) {
  if (stream.capture() != nullptr) throw capture_error(operation);
}

}  // namespace kv
