#include "memory/cuda_device.h"

#include <cstdio>
#include <string>

#include "memory/cuda_driver.h"

namespace kv {
namespace {

// CUdevice_attribute
constexpr int kMultiprocessorCount = 16;
constexpr int kL2CacheBytes = 38;
constexpr int kComputeCapabilityMajor = 75;
constexpr int kComputeCapabilityMinor = 76;
constexpr int kMemoryPoolsSupported = 115;

/// As nvidia-smi prints it: GPU-xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx
std::string uuid_text(const cuda::Uuid& uuid) {
  std::string text = "GPU";
  for (int i = 0; i < 16; ++i) {
    char digits[3];
    std::snprintf(digits, sizeof digits, "%02x", uuid.bytes[i]);
    if (i == 0 || i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += digits;
  }
  return text;
}

}  // namespace

int num_cuda_devices() {
  const auto& driver = cuda::driver();
  int count = 0;
  driver.check(driver.DeviceGetCount(&count), "cuDeviceGetCount");
  return count;
}

DeviceProperties cuda_device_properties(int ordinal) {
  const auto& driver = cuda::driver();
  cuda::Device device = 0;
  driver.check(driver.DeviceGet(&device, ordinal), "cuDeviceGet");
  const auto attribute = [&](int which) {
    int value = 0;
    driver.check(driver.DeviceGetAttribute(&value, which, device), "cuDeviceGetAttribute");
    return value;
  };
  char text[256] = {};
  cuda::Uuid uuid{};
  DeviceProperties properties;
  properties.name = "cuda:" + std::to_string(ordinal);
  properties.kind = "cuda";
  driver.check(driver.DeviceGetName(text, sizeof text, device), "cuDeviceGetName");
  properties.description = text;
  driver.check(driver.DeviceTotalMem(&properties.total_bytes, device), "cuDeviceTotalMem");
  driver.check(driver.DeviceGetUuid(&uuid, device), "cuDeviceGetUuid");
  properties.uuid = uuid_text(uuid);
  driver.check(driver.DeviceGetPCIBusId(text, sizeof text, device), "cuDeviceGetPCIBusId");
  properties.pci_bus_id = text;
  properties.compute_capability = 10 * attribute(kComputeCapabilityMajor) + attribute(kComputeCapabilityMinor);
  properties.num_multiprocessors = attribute(kMultiprocessorCount);
  properties.l2_cache_bytes = attribute(kL2CacheBytes);
  properties.supports_pools = attribute(kMemoryPoolsSupported) != 0;
  driver.check(driver.DriverGetVersion(&properties.driver_version), "cuDriverGetVersion");
  return properties;
}

}  // namespace kv
