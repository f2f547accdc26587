#pragma once
#include <memory>
#include <string>
#include <vector>

#include "memory/memory.h"

namespace kv {

/// Work that was captured once, to be queued as often as one likes; and the memory that it uses, of which it owns only
/// its workspaces.
class Graph {
 public:
  Graph(std::string device, std::vector<std::weak_ptr<Memory>> used, std::vector<std::shared_ptr<Memory>> workspaces,
        std::unique_ptr<Recording> recording);

  /// Queues it all on a stream of the same device, behind its last replay on whatever stream. Memory that it uses is
  /// freed after it. Throws DISPOSED when some was freed before.
  void replay(const StreamPtr& stream);

 private:
  std::string device_;
  std::vector<std::weak_ptr<Memory>> used_;
  std::vector<std::shared_ptr<Memory>> workspaces_;
  std::unique_ptr<Recording> recording_;
};

}  // namespace kv
