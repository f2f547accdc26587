#pragma once
#include <memory>
#include <string>
#include <vector>

#include "memory/memory.h"

namespace kv {

/// Memory that the work of a graph needs for itself.
struct GraphMemory {
  std::vector<std::shared_ptr<Memory>> workspaces;
  std::vector<std::shared_ptr<Memory>> counters;
};

/// Work that was captured once, to be queued as often as one likes; and the memory that it uses.
class Graph {
 public:
  Graph(std::string device, std::vector<std::weak_ptr<Memory>> used, GraphMemory owned,
        std::unique_ptr<Recording> recording);

  /// Queues it all on a stream of the same device, behind its last replay on whatever stream. Memory that it uses is
  /// freed after it. Throws DISPOSED when some was freed before.
  void replay(const StreamPtr& stream);

 private:
  std::string device_;
  std::vector<std::weak_ptr<Memory>> used_;
  GraphMemory owned_;
  std::unique_ptr<Recording> recording_;
};

}  // namespace kv
