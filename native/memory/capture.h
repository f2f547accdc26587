#pragma once
#include <memory>
#include <set>
#include <vector>

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
  /// What was recorded. Ends the capture, also when it throws.
  Graph finish();

 private:
  std::shared_ptr<Backend> backend_;
  StreamPtr stream_;
  std::set<std::shared_ptr<Memory>> used_;
  std::vector<std::shared_ptr<Memory>> workspaces_;  // each at least twice the one before
};

/// Throws CAPTURE_ERROR, naming the operation, while the stream is being captured.
void require_no_capture(const Stream& stream, const char* operation);

}  // namespace kv
