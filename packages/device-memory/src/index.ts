export {
  AddonNotFoundError,
  CaptureError,
  CudaError,
  type CudaProbe,
  DeviceNotFoundError,
  type DeviceProperties,
  DisposedError,
  DriverError,
  InvalidArgumentError,
  type MemoryInfo,
  OutOfBoundsError,
  OutOfMemoryError,
  SystemError,
} from "@kv/native";
export { type AllocateOptions, Device } from "./device.ts";
export { DeviceEvent } from "./device-event.ts";
export { DeviceMemory } from "./device-memory.ts";
export { Graph } from "./graph.ts";
export { type HostBytes, MemoryRegion } from "./memory-region.ts";
export { MemorySlice } from "./memory-slice.ts";
export { availableDevices, listDevices, type OpenDeviceOptions, openDevice, probeCuda } from "./open-device.ts";
export { PinnedMemory } from "./pinned-memory.ts";
export { type Residency, verifyVramResidency } from "./residency.ts";
export { Stream } from "./stream.ts";
export { transfer } from "./transfer.ts";
