#pragma once
#include "memory/backend.h"

namespace kv {

/// Bytes of host memory in all and free for this process, container limits included.
MemoryInfo host_memory_info();

}  // namespace kv
