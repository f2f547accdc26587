#include <algorithm>
#include <utility>

#include "test/fake_cuda/call.h"
#include "test/fake_cuda/functions.h"
#include "test/fake_cuda/memory.h"

namespace fake {
namespace {

constexpr auto kNoGraph = "a graph";
constexpr auto kNoExecution = "an executable graph";

}  // namespace

Result StreamBeginCapture(StreamHandle handle, int mode) {
  return call_in_context([&](Lock&) {
    if (mode != kCaptureRelaxed) complain("a capture forbids what happens meanwhile: loading kernels, allocating");
    const auto& stream = queue_of(handle);
    if (!stream->tasks.empty()) complain("a stream with work is captured");
    stream->captured = std::make_shared<Graph>(Graph{stream->device, {}, {}});
    return kSuccess;
  });
}

Result StreamEndCapture(StreamHandle handle, GraphHandle* graph) {
  return call_in_context([&](Lock&) {
    const auto& stream = find(state().streams, handle, "a stream");
    if (stream->captured == nullptr) complain("a capture is ended that was not begun");
    const auto captured = std::exchange(stream->captured, nullptr);
    return make(graph, state().graphs, *captured, stream->device);
  });
}

Result GraphInstantiate(GraphExec* execution, GraphHandle handle, unsigned long long) {
  return call_in_context([&](Lock&) {
    const Graph& graph = find(state().graphs, handle, kNoGraph);
    if (std::any_of(graph.memory.begin(), graph.memory.end(), is_freed)) return kInvalidValue;
    return make(execution, state().executions, std::make_shared<GraphExecution>(GraphExecution{graph}), graph.device);
  });
}

Result GraphLaunch(GraphExec handle, StreamHandle stream) {
  return call_in_context([&](Lock&) {
    const auto execution = find(state().executions, handle, kNoExecution);
    if (queue_of(stream)->device != execution->graph.device) complain("a graph is launched on another device");
    const auto run = [execution] {
      for (const auto& node : execution->graph.nodes) node();
      ++execution->num_done;
    };
    enqueue(stream, {.run = run, .is_ready = [execution, num_before = execution->num_launched++] {
                       return execution->num_done >= num_before;
                     }});
    return kSuccess;
  });
}

Result GraphExecDestroy(GraphExec handle) {
  // What is launched goes on.
  return give_back([&](Lock&) {
    const int device = find(state().executions, handle, kNoExecution)->graph.device;
    return destroy(handle, state().executions, device);
  });
}

Result GraphDestroy(GraphHandle handle) {
  return give_back([&](Lock&) {
    const int device = find(state().graphs, handle, kNoGraph).device;
    return destroy(handle, state().graphs, device);
  });
}

}  // namespace fake
