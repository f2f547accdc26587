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
  return last_of(owned_.workspaces, bytes, [](Memory&) {});
}

void* Capture::counters(size_t bytes, const std::function<void(Memory&)>& zero) {
  return last_of(owned_.counters, bytes, zero);
}

void* Capture::last_of(std::vector<std::shared_ptr<Memory>>& all, size_t bytes,
                       const std::function<void(Memory&)>& prepare) {
  const size_t last_bytes = all.empty() ? 0 : all.back()->bytes();
  if (bytes > last_bytes) {
    // Allocated in the order of what was queued, not of what is recorded.
    const size_t wanted = std::max(bytes, 2 * last_bytes);
    const auto memory = std::make_shared<Memory>(backend_, stream_, wanted, kNaturalAlignment, MemoryKind::pool);
    prepare(*memory);
    all.push_back(memory);
  }
  return all.empty() ? nullptr : all.back()->address();
}

Graph Capture::finish() {
  stream_->capture_ = nullptr;
  std::unique_ptr<Recording> recording = stream_->end_recording();
  const auto used = std::exchange(used_, {});
  return {stream_->properties().name, {used.begin(), used.end()}, std::move(owned_), std::move(recording)};
}

void require_no_capture(const Stream& stream, const char* operation) {
  if (stream.capture() != nullptr) throw capture_error(operation);
}

}  // namespace kv
