#include <algorithm>

#include "test/fake_cuda/call.h"
#include "test/fake_cuda/functions.h"

namespace fake {
namespace {

constexpr auto kNoStream = "a stream";
constexpr auto kNoEvent = "an event";

}  // namespace

Result StreamCreate(StreamHandle* handle, unsigned) {
  return call_in_context(
      [&](Lock&) { return make(handle, state().streams, std::make_shared<Stream>(current_device)); });
}

Result StreamDestroy(StreamHandle handle) {
  // What is queued on it is still done.
  return give_back([&](Lock&) {
    const int device = find(state().streams, handle, kNoStream)->device;
    return destroy(handle, state().streams, device);
  });
}

Result StreamSynchronize(StreamHandle handle) {
  return call([&](Lock& lock) {
    const auto stream = queue_of(handle);
    state().changed.wait(lock, [&] { return stream->tasks.empty(); });
    return kSuccess;
  });
}

Result StreamQuery(StreamHandle handle) {
  return call([&](Lock&) { return queue_of(handle)->tasks.empty() ? kSuccess : kNotReady; });
}

Result StreamWaitEvent(StreamHandle handle, EventHandle event_handle, unsigned) {
  return call_in_context([&](Lock&) {
    const auto event = find(state().events, event_handle, kNoEvent);
    enqueue(handle, {.is_ready = [event, recording = event->num_records] { return event->is_reached(recording); }});
    return kSuccess;
  });
}

Result EventCreate(EventHandle* handle, unsigned flags) {
  return call_in_context([&](Lock&) {
    const bool has_timing = (flags & kEventDisableTiming) == 0;
    return make(handle, state().events, std::make_shared<Event>(current_device, has_timing));
  });
}

Result EventDestroy(EventHandle handle) {
  return give_back([&](Lock&) {
    const int device = find(state().events, handle, kNoEvent)->device;
    return destroy(handle, state().events, device);
  });
}

Result EventRecord(EventHandle handle, StreamHandle stream_handle) {
  return call_in_context([&](Lock&) {
    const auto event = find(state().events, handle, kNoEvent);
    if (find(state().streams, stream_handle, kNoStream)->device != event->device) return kInvalidHandle;
    enqueue(stream_handle, {.run = [event, recording = ++event->num_records] {
              if (event->is_reached(recording)) return;
              event->num_reached = recording;
              event->reached_at = std::chrono::steady_clock::now();
            }});
    return kSuccess;
  });
}

Result EventQuery(EventHandle handle) {
  return call([&](Lock&) {
    const auto event = find(state().events, handle, kNoEvent);
    return event->is_reached(event->num_records) ? kSuccess : kNotReady;
  });
}

Result EventSynchronize(EventHandle handle) {
  return call([&](Lock& lock) {
    const auto event = find(state().events, handle, kNoEvent);
    state().changed.wait(lock, [&, wanted = event->num_records] { return event->is_reached(wanted); });
    return kSuccess;
  });
}

Result EventElapsedTime(float* milliseconds, EventHandle start_handle, EventHandle end_handle) {
  return call([&](Lock&) {
    const auto start = find(state().events, start_handle, kNoEvent);
    const auto end = find(state().events, end_handle, kNoEvent);
    for (const auto& event : {start, end}) {
      if (!event->has_timing || event->num_records == 0 || event->device != start->device) return kInvalidHandle;
      if (!event->is_reached(event->num_records)) return kNotReady;
    }
    *milliseconds = std::chrono::duration<float, std::milli>(end->reached_at - start->reached_at).count();
    return kSuccess;
  });
}

}  // namespace fake
