#include "memory/host_recording.h"

namespace kv {

void HostRecording::replay(Stream& stream) {
  static_cast<HostStream&>(stream).enqueue([state = state_, num_before = num_queued_] {
    {
      std::unique_lock lock(state->mutex);
      state->changed.wait(lock, [&] { return state->num_done == num_before; });
    }
    for (const auto& task : state->tasks) task();
    const std::scoped_lock lock(state->mutex);
    ++state->num_done;
    state->changed.notify_all();
  });
  ++num_queued_;
}

}  // namespace kv
