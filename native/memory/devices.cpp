#include "memory/devices.h"

#include "memory/cuda_backend.h"
#include "memory/cuda_device.h"
#include "memory/host_backend.h"

namespace kv {
namespace {

std::string names_of(const std::vector<DeviceProperties>& devices) {
  std::string names;
  for (const auto& device : devices) names += (names.empty() ? "" : ", ") + device.name;
  return names;
}

}  // namespace

CudaProbe probe_cuda() {
  try {
    cuda::driver();
    return {true, "", ""};
  } catch (const Error& error) {
    return {false, error.code(), error.what()};
  }
}

std::vector<DeviceProperties> list_devices() {
  std::vector<DeviceProperties> devices{HostBackend().properties()};
  if (!probe_cuda().is_available) return devices;
  const int count = num_cuda_devices();
  for (int ordinal = 0; ordinal < count; ++ordinal) devices.push_back(cuda_device_properties(ordinal));
  return devices;
}

std::shared_ptr<Backend> open_backend(const std::string& name, size_t pool_release_threshold_bytes) {
  if (name == "host") return std::make_shared<HostBackend>();
  if (name.starts_with("cuda:")) cuda::driver();  // why it cannot be used says more than that the device is missing
  const auto devices = list_devices();
  for (size_t i = 1; i < devices.size(); ++i) {
    if (devices[i].name == name)
      return std::make_shared<CudaBackend>(static_cast<int>(i) - 1, pool_release_threshold_bytes);
  }
  throw device_not_found(name, names_of(devices));
}

}  // namespace kv
