#pragma once
#include <napi.h>

#include <exception>
#include <memory>
#include <mutex>

#include "binding/handle_table.h"

namespace kv::binding {

/// Brings what streams finished back to the JavaScript thread. Shared with the streams' threads, which may outlive
/// the environment: after close() they find it closed.
class Completions : public std::enable_shared_from_this<Completions> {
 public:
  explicit Completions(Napi::Env env);

  /// A promise for all that `stream` was given so far.
  Napi::Promise promise_for(Napi::Env env, Stream& stream);

 private:
  struct Done {
    napi_deferred deferred;
    std::exception_ptr failure;
  };

  static void settle(napi_env env, napi_value, void* context, void* data);
  void send(std::unique_ptr<Done> done);

  std::mutex mutex_;
  napi_threadsafe_function function_ = nullptr;  // null once the environment has gone
  size_t num_pending_ = 0;                       // of the JavaScript thread alone
};

/// What one JavaScript environment (the main thread or a worker) has open. All of it is given back when that ends.
struct Environment {
  explicit Environment(Napi::Env env) : completions(std::make_shared<Completions>(env)) {}

  HandleTable handles;
  Napi::FunctionReference make_error;
  std::shared_ptr<Completions> completions;
  int64_t external_bytes = 0;  // that V8 was told of

  static Environment& of(Napi::Env env) { return *env.GetInstanceData<Environment>(); }
};

/// The JavaScript error for a failure, made by the function that JavaScript registered for it.
Napi::Error to_js_error(Napi::Env env, const Error& error);
Napi::Error to_js_error(Napi::Env env, std::exception_ptr failure);

}  // namespace kv::binding
