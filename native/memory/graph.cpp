#include "memory/graph.h"

#include <utility>

#include "memory/capture.h"
#include "memory/error.h"

namespace kv {

Graph::Graph(std::string device, std::vector<std::weak_ptr<Memory>> used, GraphMemory owned,
             std::unique_ptr<Recording> recording)
    : device_(std::move(device)), used_(std::move(used)), owned_(std::move(owned)), recording_(std::move(recording)) {}

void Graph::replay(const StreamPtr& stream) {
  if (stream->properties().name != device_) {
    throw invalid_argument("stream", "is of " + stream->properties().name + ", the graph is of " + device_);
  }
  require_no_capture(*stream, "replay");
  for (const auto& each : used_) {
    const auto memory = each.lock();
    if (memory == nullptr) {
      throw Error("DISPOSED", "memory that the graph uses was disposed",
                  {{"what", std::string("memory that the graph uses")}});
    }
    memory->use_on(stream);
  }
  for (const auto* all : {&owned_.workspaces, &owned_.counters}) {
    for (const auto& each : *all) each->use_on(stream);
  }
  recording_->replay(*stream);
}

}  // namespace kv
