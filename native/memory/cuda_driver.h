#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

namespace kv::cuda {

// Our own declarations of what we use of the CUDA driver API: no toolkit is needed to build.
using Result = int;
using Device = int;
using DevicePtr = unsigned long long;
using Context = struct ContextTag*;
using StreamHandle = struct StreamTag*;
using EventHandle = struct EventTag*;
using Pool = struct PoolTag*;
using Module = struct ModuleTag*;
using Function = struct FunctionTag*;
using GraphHandle = struct GraphTag*;
using GraphExec = struct GraphExecTag*;

struct Uuid {
  unsigned char bytes[16];
};

/// CUmemPoolProps: 88 bytes from 12.0 on, unused ones zero.
struct PoolProps {
  int allocation_type = 1;  // pinned device memory
  int handle_types = 0;
  struct {
    int type = 1;  // a device
    int id = 0;
  } location;
  void* win32_security_attributes = nullptr;
  size_t max_size = 0;
  unsigned short usage = 0;
  unsigned char reserved[54] = {};
};
static_assert(sizeof(PoolProps) == 88);

inline DevicePtr device_ptr(const void* address) {
  return reinterpret_cast<DevicePtr>(address);
}

/// CUlaunchAttribute, of those whose value is one int.
struct LaunchAttribute {
  int id = 0;
  int padding = 0;
  int value = 0;
  int unused[15] = {};
};
static_assert(sizeof(LaunchAttribute) == 72);

/// CUlaunchConfig
struct LaunchConfig {
  unsigned num_thread_blocks[3] = {1, 1, 1};
  unsigned num_threads[3] = {1, 1, 1};
  unsigned shared_bytes = 0;
  StreamHandle stream = nullptr;
  LaunchAttribute* attributes = nullptr;
  unsigned num_attributes = 0;
};

constexpr Result kSuccess = 0;
constexpr Result kInvalidValue = 1;
constexpr Result kOutOfMemory = 2;
constexpr Result kNotReady = 600;
constexpr unsigned kStreamNonBlocking = 1;
constexpr unsigned kEventBlockingSync = 1;
constexpr unsigned kEventDisableTiming = 2;
constexpr unsigned kHostAllocPortable = 1;
constexpr int kPoolReleaseThreshold = 4;
constexpr int kPoolReservedBytes = 5;
constexpr int kPoolUsedBytes = 7;
constexpr int kPointerMemoryType = 2;
constexpr int kPtxVersion = 5;
constexpr int kMaxDynamicSharedBytes = 8;
constexpr int kProgrammaticStreamSerialization = 6;
constexpr unsigned kMemoryTypeHost = 1;
constexpr unsigned kMemoryTypeDevice = 2;
constexpr int kCaptureRelaxed = 2;

// Name in code, name in the driver, the CUDA version whose signature is meant, parameters.
#define KV_CUDA_FUNCTIONS(X)                                                                                         \
  X(Init, "cuInit", 2000, (unsigned))                                                                                \
  X(DriverGetVersion, "cuDriverGetVersion", 2020, (int*))                                                            \
  X(DeviceGetCount, "cuDeviceGetCount", 2000, (int*))                                                                \
  X(DeviceGet, "cuDeviceGet", 2000, (Device*, int))                                                                  \
  X(DeviceGetName, "cuDeviceGetName", 2000, (char*, int, Device))                                                    \
  X(DeviceGetUuid, "cuDeviceGetUuid", 11040, (Uuid*, Device))                                                        \
  X(DeviceTotalMem, "cuDeviceTotalMem", 3020, (size_t*, Device))                                                     \
  X(DeviceGetAttribute, "cuDeviceGetAttribute", 2000, (int*, int, Device))                                           \
  X(DeviceGetPCIBusId, "cuDeviceGetPCIBusId", 4010, (char*, int, Device))                                            \
  X(DevicePrimaryCtxRetain, "cuDevicePrimaryCtxRetain", 7000, (Context*, Device))                                    \
  X(DevicePrimaryCtxRelease, "cuDevicePrimaryCtxRelease", 11000, (Device))                                           \
  X(CtxGetCurrent, "cuCtxGetCurrent", 4000, (Context*))                                                              \
  X(CtxSetCurrent, "cuCtxSetCurrent", 4000, (Context))                                                               \
  X(MemGetInfo, "cuMemGetInfo", 3020, (size_t*, size_t*))                                                            \
  X(MemAlloc, "cuMemAlloc", 3020, (DevicePtr*, size_t))                                                              \
  X(MemFree, "cuMemFree", 3020, (DevicePtr))                                                                         \
  X(MemHostAlloc, "cuMemHostAlloc", 2020, (void**, size_t, unsigned))                                                \
  X(MemFreeHost, "cuMemFreeHost", 2000, (void*))                                                                     \
  X(MemPoolCreate, "cuMemPoolCreate", 11020, (Pool*, const PoolProps*))                                              \
  X(MemPoolDestroy, "cuMemPoolDestroy", 11020, (Pool))                                                               \
  X(MemPoolSetAttribute, "cuMemPoolSetAttribute", 11020, (Pool, int, void*))                                         \
  X(MemPoolGetAttribute, "cuMemPoolGetAttribute", 11020, (Pool, int, void*))                                         \
  X(MemPoolTrimTo, "cuMemPoolTrimTo", 11020, (Pool, size_t))                                                         \
  X(MemAllocFromPoolAsync, "cuMemAllocFromPoolAsync", 11020, (DevicePtr*, size_t, Pool, StreamHandle))               \
  X(MemFreeAsync, "cuMemFreeAsync", 11020, (DevicePtr, StreamHandle))                                                \
  X(MemsetD8Async, "cuMemsetD8Async", 3020, (DevicePtr, unsigned char, size_t, StreamHandle))                        \
  X(MemcpyAsync, "cuMemcpyAsync", 4000, (DevicePtr, DevicePtr, size_t, StreamHandle))                                \
  X(MemcpyHtoDAsync, "cuMemcpyHtoDAsync", 3020, (DevicePtr, const void*, size_t, StreamHandle))                      \
  X(MemcpyDtoHAsync, "cuMemcpyDtoHAsync", 3020, (void*, DevicePtr, size_t, StreamHandle))                            \
  X(PointerGetAttributes, "cuPointerGetAttributes", 7000, (unsigned, const int*, void**, DevicePtr))                 \
  X(StreamCreate, "cuStreamCreate", 2000, (StreamHandle*, unsigned))                                                 \
  X(StreamDestroy, "cuStreamDestroy", 4000, (StreamHandle))                                                          \
  X(StreamSynchronize, "cuStreamSynchronize", 2000, (StreamHandle))                                                  \
  X(StreamQuery, "cuStreamQuery", 2000, (StreamHandle))                                                              \
  X(StreamWaitEvent, "cuStreamWaitEvent", 3020, (StreamHandle, EventHandle, unsigned))                               \
  X(EventCreate, "cuEventCreate", 2000, (EventHandle*, unsigned))                                                    \
  X(EventDestroy, "cuEventDestroy", 4000, (EventHandle))                                                             \
  X(EventRecord, "cuEventRecord", 2000, (EventHandle, StreamHandle))                                                 \
  X(EventQuery, "cuEventQuery", 2000, (EventHandle))                                                                 \
  X(EventSynchronize, "cuEventSynchronize", 2000, (EventHandle))                                                     \
  X(EventElapsedTime, "cuEventElapsedTime", 2000, (float*, EventHandle, EventHandle))                                \
  X(ModuleLoadData, "cuModuleLoadData", 2000, (Module*, const void*))                                                \
  X(ModuleUnload, "cuModuleUnload", 2000, (Module))                                                                  \
  X(ModuleGetFunction, "cuModuleGetFunction", 2000, (Function*, Module, const char*))                                \
  X(FuncGetAttribute, "cuFuncGetAttribute", 2020, (int*, int, Function))                                             \
  X(FuncSetAttribute, "cuFuncSetAttribute", 9000, (Function, int, int))                                              \
  X(TensorMapEncodeTiled, "cuTensorMapEncodeTiled", 12000,                                                           \
    (void*, int, unsigned, void*, const uint64_t*, const uint64_t*, const uint32_t*, const uint32_t*, int, int, int, \
     int))                                                                                                           \
  X(LaunchKernelEx, "cuLaunchKernelEx", 11060, (const LaunchConfig*, Function, void**, void**))                      \
  X(StreamBeginCapture, "cuStreamBeginCapture", 10010, (StreamHandle, int))                                          \
  X(StreamEndCapture, "cuStreamEndCapture", 10000, (StreamHandle, GraphHandle*))                                     \
  X(GraphInstantiate, "cuGraphInstantiateWithFlags", 11040, (GraphExec*, GraphHandle, unsigned long long))           \
  X(GraphLaunch, "cuGraphLaunch", 10000, (GraphExec, StreamHandle))                                                  \
  X(GraphExecDestroy, "cuGraphExecDestroy", 10000, (GraphExec))                                                      \
  X(GraphDestroy, "cuGraphDestroy", 10000, (GraphHandle))                                                            \
  X(GetErrorName, "cuGetErrorName", 6000, (Result, const char**))                                                    \
  X(GetErrorString, "cuGetErrorString", 6000, (Result, const char**))

/// The functions of the CUDA driver, found at run time.
struct Driver {
#define KV_DECLARE(name, symbol, version, parameters) Result(*name) parameters = nullptr;
  KV_CUDA_FUNCTIONS(KV_DECLARE)
#undef KV_DECLARE

  /// Throws CUDA_ERROR, naming the call, unless `result` is success.
  void check(Result result, const char* call) const;
  std::string error_name(Result result) const;
};

/// Opens the driver's library on first use. Throws NO_DRIVER, DRIVER_TOO_OLD or CUDA_ERROR; a failure is tried again
/// at the next call, since a driver can be installed meanwhile.
const Driver& driver();

}  // namespace kv::cuda
