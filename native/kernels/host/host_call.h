#pragma once
#include <memory>
#include <utility>

#include "kernels/host/host_threads.h"
#include "memory/backend.h"

namespace kv {

/// Runs a call that was made with all its memory.
template <typename Call>
void run_call(const void* address) {
  Call& call = **static_cast<Call* const*>(address);
  // The threads stay for the next call, as long as this stream does.
  static thread_local std::shared_ptr<HostThreads> kept;
  kept = call.threads();
  call.run();
}

/// Queues a call on a stream of the host, whose thread runs it together with the others.
template <typename Call>
void launch_on_threads(const char* name, std::shared_ptr<Call> call, Stream& stream) {
  Call* const address = call.get();
  stream.launch({.name = name,
                 .num_thread_blocks = {1, 1, 1},
                 .num_threads = 1,
                 .params = &address,
                 .params_bytes = sizeof address,
                 .on_host = run_call<Call>,
                 .kept_on_host = std::move(call)});
}

/// Queues a plain reference on a stream of the host.
template <typename Params, void (*reference)(const Params&)>
void launch_reference(const char* name, const Params& params, Stream& stream) {
  stream.launch({.name = name,
                 .num_thread_blocks = {1, 1, 1},
                 .num_threads = 1,
                 .params = &params,
                 .params_bytes = sizeof params,
                 .on_host = [](const void* p) { reference(*static_cast<const Params*>(p)); }});
}

}  // namespace kv
