#pragma once

namespace fake {

/// Starts, at the first call, the thread that does the work of all streams.
void start_worker();

}  // namespace fake
