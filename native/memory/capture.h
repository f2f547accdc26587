#pragma once
#include <functional>
#include <memory>
#include <set>

#include "memory/graph.h"
#include "memory/memory.h"

namespace kv {

/// While this lives, what its stream is given to fill, copy and launch is recorded instead of queued. Only the thread
/// that gives the stream its work may use it.
class Capture {
 public:
  /// Throws CAPTURE_ERROR when the stream is being captured already.
  Capture(std::shared_ptr<Backend> backend, StreamPtr stream);
  ~Capture();
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;

  /// Notes memory that the recorded work uses: it is the caller's, and may go before the graph. It stays until the
  /// capture ends, since the driver makes no graph of work on memory that was freed.
  void use(std::shared_ptr<Memory> memory) { used_.insert(std::move(memory)); }
  /// Memory of the graph for the work that is recorded next. Work recorded before may have the same.
  void* workspace(size_t bytes);
  /// The same, but zeroed by `zero` when it is new, before the first replay.
  void* counters(size_t bytes, const std::function<void(Memory&)>& zero);
  /// What was recorded. Ends the capture, also when it throws.
  Graph finish();

 private:
  void* last_of(std::vector<std::shared_ptr<Memory>>& all, size_t bytes, const std::function<void(Memory&)>& prepare);

  std::shared_ptr<Backend> backend_;
  StreamPtr stream_;
  std::set<std::shared_ptr<Memory>> used_;
  /// What the graph will own; in each list every one is at least twice the one before.
  GraphMemory owned_;
};

/// Throws CAPTURE_ERROR, naming the operation, while the stream is being captured.
void require_no_capture(const Stream& stream, const char* operation);

}  // namespace kv
