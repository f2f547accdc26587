#include "binding/arguments.h"
#include "binding/functions.h"

namespace kv::binding {
namespace {

/// beginCapture(stream)
Napi::Value begin_capture(const Arguments& args) {
  const OpenStream stream = args.stream(0);
  auto capture = std::make_shared<Capture>(stream.backend, stream.stream);
  return Napi::Number::New(args.env(), args.handles().insert(OpenCapture{std::move(capture)}));
}

/// isCapturing(stream)
Napi::Value is_capturing(const Arguments& args) {
  return Napi::Boolean::New(args.env(), args.stream(0).stream->capture() != nullptr);
}

/// endCapture(capture): a graph; the capture is released, also when this throws
Napi::Value end_capture(const Arguments& args) {
  const double handle = args.number(0, "capture");
  const auto capture = args.handles().get<OpenCapture>(handle, "capture").capture;
  args.handles().release(handle);
  auto graph = std::make_shared<Graph>(capture->finish());
  return Napi::Number::New(args.env(), args.handles().insert(OpenGraph{std::move(graph)}));
}

/// replayGraph(graph, stream)
Napi::Value replay_graph(const Arguments& args) {
  const auto graph = args.handles().get<OpenGraph>(args.number(0, "graph"), "graph").graph;
  const OpenStream stream = args.stream(1);
  graph->replay(stream.stream);
  return args.env().Undefined();
}

}  // namespace

void export_graph_functions(Napi::Env env, Napi::Object exports) {
  exports.Set("beginCapture", Napi::Function::New<guarded<begin_capture>>(env));
  exports.Set("isCapturing", Napi::Function::New<guarded<is_capturing>>(env));
  exports.Set("endCapture", Napi::Function::New<guarded<end_capture>>(env));
  exports.Set("replayGraph", Napi::Function::New<guarded<replay_graph>>(env));
}

}  // namespace kv::binding
