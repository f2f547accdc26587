#include "binding/arguments.h"
#include "binding/functions.h"
#include "memory/devices.h"

namespace kv::binding {
namespace {

Napi::Object to_object(Napi::Env env, const DeviceProperties& properties) {
  auto object = Napi::Object::New(env);
  object.Set("name", properties.name);
  object.Set("kind", properties.kind);
  object.Set("description", properties.description);
  object.Set("totalBytes", static_cast<double>(properties.total_bytes));
  object.Set("uuid", properties.uuid);
  object.Set("pciBusId", properties.pci_bus_id);
  object.Set("computeCapability", properties.compute_capability / 10.0);
  object.Set("numMultiprocessors", properties.num_multiprocessors);
  object.Set("l2CacheBytes", properties.l2_cache_bytes);
  object.Set("driverVersion", properties.driver_version);
  object.Set("supportsPools", properties.supports_pools);
  return object;
}

/// probeCuda()
Napi::Value probe(const Arguments& args) {
  const CudaProbe probe = probe_cuda();
  auto object = Napi::Object::New(args.env());
  object.Set("isAvailable", probe.is_available);
  object.Set("code", probe.code);
  object.Set("message", probe.message);
  return object;
}

/// listDevices()
Napi::Value list(const Arguments& args) {
  const auto devices = list_devices();
  auto array = Napi::Array::New(args.env(), devices.size());
  for (size_t i = 0; i < devices.size(); ++i) array.Set(static_cast<uint32_t>(i), to_object(args.env(), devices[i]));
  return array;
}

/// openDevice(name, poolReleaseThresholdBytes)
Napi::Value open(const Arguments& args) {
  const auto backend = open_backend(args.text(0, "name"), args.bytes(1, "poolReleaseThresholdBytes"));
  return Napi::Number::New(args.env(), args.handles().insert(OpenDevice{backend, backend->make_stream()}));
}

/// deviceProperties(device)
Napi::Value properties(const Arguments& args) {
  return to_object(args.env(), args.device(0).backend->properties());
}

/// memoryInfo(device)
Napi::Value memory_info(const Arguments& args) {
  Backend& backend = *args.device(0).backend;
  const MemoryInfo info = backend.memory_info();
  auto object = Napi::Object::New(args.env());
  object.Set("freeBytes", static_cast<double>(info.free_bytes));
  object.Set("totalBytes", static_cast<double>(info.total_bytes));
  object.Set("poolHeldBytes", static_cast<double>(backend.pool_held_bytes()));
  return object;
}

/// trimPool(device, keepBytes)
Napi::Value trim_pool(const Arguments& args) {
  args.device(0).backend->trim_pool(args.bytes(1, "keepBytes"));
  return args.env().Undefined();
}

}  // namespace

void export_device_functions(Napi::Env env, Napi::Object exports) {
  exports.Set("probeCuda", Napi::Function::New<guarded<probe>>(env));
  exports.Set("listDevices", Napi::Function::New<guarded<list>>(env));
  exports.Set("openDevice", Napi::Function::New<guarded<open>>(env));
  exports.Set("deviceProperties", Napi::Function::New<guarded<properties>>(env));
  exports.Set("memoryInfo", Napi::Function::New<guarded<memory_info>>(env));
  exports.Set("trimPool", Napi::Function::New<guarded<trim_pool>>(env));
}

}  // namespace kv::binding
