#pragma once
#include "test/fake_cuda/state.h"

namespace fake {

/// For work that is being done: complains unless all the bytes are allocated in the order of the streams.
void require_usable(DevicePtr address, size_t bytes);
/// For work that is being queued: complains when the memory was freed before.
void require_not_freed(DevicePtr address, size_t bytes);
bool is_freed(DevicePtr address);

}  // namespace fake
