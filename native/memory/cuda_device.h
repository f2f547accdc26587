#pragma once
#include "memory/backend.h"

namespace kv {

/// What the driver says about a device, without making a context on it.
DeviceProperties cuda_device_properties(int ordinal);
int num_cuda_devices();

}  // namespace kv
