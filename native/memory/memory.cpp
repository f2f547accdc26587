#include "memory/memory.h"

#include <algorithm>
#include <utility>

#include "memory/capture.h"
#include "memory/error.h"

namespace kv {

Memory::Memory(std::shared_ptr<Backend> backend, StreamPtr stream, size_t bytes, size_t alignment, MemoryKind kind)
    : backend_(std::move(backend)), streams_{std::move(stream)}, bytes_(bytes), kind_(kind) {
  const size_t slack_bytes = alignment > kNaturalAlignment ? alignment - kNaturalAlignment : 0;
  if (bytes > SIZE_MAX - slack_bytes)
    throw invalid_argument("alignment", "size and alignment exceed the address space");
  allocated_ = static_cast<std::byte*>(backend_->allocate(bytes + slack_bytes, kind, *streams_.front()));
  const auto start = reinterpret_cast<uintptr_t>(allocated_);
  address_ = allocated_ + ((start + alignment - 1) / alignment * alignment - start);
}

Memory::~Memory() {
  backend_->free(allocated_, kind_, streams_);
}

void Memory::use_on(const StreamPtr& stream) {
  if (Capture* capture = stream->capture()) return capture->use(shared_from_this());
  if (std::find(streams_.begin(), streams_.end(), stream) != streams_.end()) return;
  // Streams that only this memory still knows and that have nothing left to do need not be remembered.
  for (size_t i = streams_.size() - 1; i > 0; --i) {
    const StreamPtr& each = streams_[i];
    if (each.use_count() == 1 && each->is_idle()) streams_.erase(streams_.begin() + static_cast<std::ptrdiff_t>(i));
  }
  streams_.reserve(streams_.size() + 1);
  const auto allocated = backend_->make_event(false);
  home_stream()->record(*allocated);
  stream->wait(*allocated);
  streams_.push_back(stream);
}

}  // namespace kv
