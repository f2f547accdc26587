#include "binding/arguments.h"
#include "binding/functions.h"

namespace kv::binding {
namespace {

/// defaultStream(device)
Napi::Value default_stream(const Arguments& args) {
  const OpenDevice device = args.device(0);
  return Napi::Number::New(args.env(), args.handles().insert(OpenStream{device.backend, device.default_stream}));
}

/// createStream(device)
Napi::Value create_stream(const Arguments& args) {
  const auto backend = args.device(0).backend;
  return Napi::Number::New(args.env(), args.handles().insert(OpenStream{backend, backend->make_stream()}));
}

/// synchronizeSync(stream)
Napi::Value synchronize_sync(const Arguments& args) {
  args.uncaptured_stream(0, "synchronize").stream->synchronize();
  return args.env().Undefined();
}

/// whenDone(stream): Promise
Napi::Value when_done(const Arguments& args) {
  return args.environment().completions->promise_for(args.env(), *args.uncaptured_stream(0, "synchronize").stream);
}

/// isIdle(stream)
Napi::Value is_idle(const Arguments& args) {
  return Napi::Boolean::New(args.env(), args.stream(0).stream->is_idle());
}

/// createEvent(device, withTiming)
Napi::Value create_event(const Arguments& args) {
  auto event = args.device(0).backend->make_event(args.flag(1, "withTiming"));
  return Napi::Number::New(args.env(), args.handles().insert(OpenEvent{std::move(event)}));
}

/// recordEvent(stream, event)
Napi::Value record_event(const Arguments& args) {
  args.uncaptured_stream(0, "record").stream->record(*args.event(1, "event"));
  return args.env().Undefined();
}

/// waitForEvent(stream, event)
Napi::Value wait_for_event(const Arguments& args) {
  args.uncaptured_stream(0, "wait").stream->wait(*args.event(1, "event"));
  return args.env().Undefined();
}

/// isEventDone(event)
Napi::Value is_event_done(const Arguments& args) {
  return Napi::Boolean::New(args.env(), args.event(0, "event")->is_done());
}

/// synchronizeEventSync(event)
Napi::Value synchronize_event_sync(const Arguments& args) {
  args.event(0, "event")->synchronize();
  return args.env().Undefined();
}

/// elapsedMs(later, earlier)
Napi::Value elapsed_ms(const Arguments& args) {
  const auto later = args.event(0, "later");
  return Napi::Number::New(args.env(), later->elapsed_ms_since(*args.event(1, "earlier")));
}

}  // namespace

void export_stream_functions(Napi::Env env, Napi::Object exports) {
  exports.Set("defaultStream", Napi::Function::New<guarded<default_stream>>(env));
  exports.Set("createStream", Napi::Function::New<guarded<create_stream>>(env));
  exports.Set("synchronizeSync", Napi::Function::New<guarded<synchronize_sync>>(env));
  exports.Set("whenDone", Napi::Function::New<guarded<when_done>>(env));
  exports.Set("isIdle", Napi::Function::New<guarded<is_idle>>(env));
  exports.Set("createEvent", Napi::Function::New<guarded<create_event>>(env));
  exports.Set("recordEvent", Napi::Function::New<guarded<record_event>>(env));
  exports.Set("waitForEvent", Napi::Function::New<guarded<wait_for_event>>(env));
  exports.Set("isEventDone", Napi::Function::New<guarded<is_event_done>>(env));
  exports.Set("synchronizeEventSync", Napi::Function::New<guarded<synchronize_event_sync>>(env));
  exports.Set("elapsedMs", Napi::Function::New<guarded<elapsed_ms>>(env));
}

}  // namespace kv::binding
