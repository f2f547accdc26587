#pragma once
#include <cstddef>
#include <memory>
#include <vector>

#include "memory/backend.h"

namespace kv {

/// Owns one allocation; it is freed after the work that any stream has queued on it. Never moves.
class Memory : public std::enable_shared_from_this<Memory> {
 public:
  Memory(std::shared_ptr<Backend> backend, StreamPtr stream, size_t bytes, size_t alignment, MemoryKind kind);
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  std::byte* address() const noexcept { return address_; }
  size_t bytes() const noexcept { return bytes_; }
  MemoryKind kind() const noexcept { return kind_; }
  Backend& backend() const noexcept { return *backend_; }
  const StreamPtr& home_stream() const noexcept { return streams_.front(); }

  /// Must come before work on `stream` that touches this memory: orders that work after the allocation and its
  /// zeroing, and the freeing after that work. For work that is captured, each replay of its graph does so.
  void use_on(const StreamPtr& stream);

 private:
  std::shared_ptr<Backend> backend_;
  std::vector<StreamPtr> streams_;  // the first is the one it was allocated on
  std::byte* allocated_;            // what the backend gave; `address_` lies inside it when the alignment asks for more
  std::byte* address_;
  size_t bytes_;
  MemoryKind kind_;
};

}  // namespace kv
