#include "binding/environment.h"

#include <new>
#include <utility>

namespace kv::binding {
namespace {

void require(napi_env env, napi_status status) {
  if (status != napi_ok) throw Napi::Error::New(env);
}

}  // namespace

Completions::Completions(Napi::Env env) {
  const auto name = Napi::String::New(env, "kv completions");
  require(env, napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, this, settle,
                                               &function_));
  // What is pending keeps the process alive, the function alone does not.
  require(env, napi_unref_threadsafe_function(env, function_));
  // Registered after the function, so that it runs before the environment takes the function away.
  env.AddCleanupHook([this] {
    const std::scoped_lock lock(mutex_);
    function_ = nullptr;
  });
}

Napi::Promise Completions::promise_for(Napi::Env env, Stream& stream) {
  napi_deferred deferred = nullptr;
  napi_value promise = nullptr;
  require(env, napi_create_promise(env, &deferred, &promise));
  try {
    // Made now: on the stream's thread nobody could be told that there is no memory for it.
    const auto made = std::make_shared<std::unique_ptr<Done>>(std::make_unique<Done>(Done{deferred, nullptr}));
    stream.when_done([self = shared_from_this(), made](std::exception_ptr failure) {
      (*made)->failure = std::move(failure);
      self->send(std::move(*made));
    });
  } catch (...) {
    napi_reject_deferred(env, deferred, to_js_error(env, std::current_exception()).Value());
    return Napi::Promise(env, promise);
  }
  if (num_pending_++ == 0) napi_ref_threadsafe_function(env, function_);
  return Napi::Promise(env, promise);
}

void Completions::send(std::unique_ptr<Done> done) {
  const std::scoped_lock lock(mutex_);
  if (function_ == nullptr) return;
  if (napi_call_threadsafe_function(function_, done.get(), napi_tsfn_nonblocking) == napi_ok) done.release();
}

void Completions::settle(napi_env env, napi_value, void* context, void* data) {
  const std::unique_ptr<Done> done(static_cast<Done*>(data));
  if (env == nullptr) return;
  auto& self = *static_cast<Completions*>(context);
  if (--self.num_pending_ == 0) napi_unref_threadsafe_function(env, self.function_);
  // Nothing may leave through Node's own frames, also when this environment ends just now and takes no more values.
  try {
    try {
      if (done->failure) throw to_js_error(env, done->failure);
      napi_resolve_deferred(env, done->deferred, Napi::Env(env).Undefined());
    } catch (const Napi::Error& error) {
      napi_reject_deferred(env, done->deferred, error.Value());
    }
  } catch (const Napi::Error&) {
  }
}

Napi::Error to_js_error(Napi::Env env, const Error& error) {
  auto fields = Napi::Object::New(env);
  for (const ErrorField& field : error.fields()) {
    if (const auto* number = std::get_if<double>(&field.value)) {
      fields.Set(field.name, *number);
    } else {
      fields.Set(field.name, std::get<std::string>(field.value));
    }
  }
  const auto& make_error = Environment::of(env).make_error;
  if (make_error.IsEmpty()) {
    Napi::Error plain = Napi::Error::New(env, error.what());
    plain.Set("code", error.code());
    return plain;
  }
  const Napi::Value made =
      make_error.Call({Napi::String::New(env, error.code()), Napi::String::New(env, error.what()), fields});
  return Napi::Error(env, made);
}

Napi::Error to_js_error(Napi::Env env, std::exception_ptr failure) {
  try {
    std::rethrow_exception(std::move(failure));
  } catch (const Error& error) {
    return to_js_error(env, error);
  } catch (const Napi::Error& error) {
    return error;
  } catch (const std::bad_alloc&) {
    return to_js_error(env,
                       Error("SYSTEM_ERROR", "no memory is left for the addon's own bookkeeping", {{"call", "new"}}));
  } catch (const std::exception& error) {
    return to_js_error(env, Error("SYSTEM_ERROR", error.what(), {{"call", "addon"}}));
  }
}

}  // namespace kv::binding
