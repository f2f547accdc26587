#include <napi.h>

#include "binding/arguments.h"
#include "binding/functions.h"
#include "kernels/embedded.h"

namespace kv::binding {
namespace {

Napi::Value set_error_factory(const Arguments& args) {
  args.environment().make_error = Napi::Persistent(args.function(0, "makeError"));
  return args.env().Undefined();
}

Napi::Value kernel_source(const Arguments& args) {
  return Napi::String::New(args.env(), kernels::source());
}

Napi::Value release(const Arguments& args) {
  return Napi::Boolean::New(args.env(), args.handles().release(args.number(0, "handle")));
}

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new Environment(env));
  exports.Set("setErrorFactory", Napi::Function::New<guarded<set_error_factory>>(env));
  exports.Set("kernelSource", Napi::Function::New<guarded<kernel_source>>(env));
  exports.Set("release", Napi::Function::New<guarded<release>>(env));
  export_device_functions(env, exports);
  export_stream_functions(env, exports);
  export_graph_functions(env, exports);
  export_memory_functions(env, exports);
  export_kernel_functions(env, exports);
  export_append_rotary_functions(env, exports);
  export_attention_functions(env, exports);
  return exports;
}

}  // namespace
}  // namespace kv::binding

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  return kv::binding::initialize(env, exports);
}
NODE_API_MODULE(kv_native, Init)
