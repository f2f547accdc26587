#pragma once
#include <memory>
#include <string>
#include <vector>

#include "memory/backend.h"
#include "memory/error.h"

namespace kv {

/// Whether the NVIDIA driver can be used, and if not, why.
struct CudaProbe {
  bool is_available = false;
  std::string code;     // empty, or NO_DRIVER, DRIVER_TOO_OLD, CUDA_ERROR
  std::string message;  // empty, or what was looked for and what to do
};

CudaProbe probe_cuda();

/// The host, and every CUDA device that the driver shows.
std::vector<DeviceProperties> list_devices();

/// Opens "host" or "cuda:N". Throws DEVICE_NOT_FOUND, or why the driver cannot be used.
std::shared_ptr<Backend> open_backend(const std::string& name, size_t pool_release_threshold_bytes);

}  // namespace kv
